// The address holds the whole state: loading it, or going back and forth, restores the view.
const MOST = 4;
const EMPTY = { sort: "", down: false, off: [], task: "", model: "", arch: "", strength: "", find: "", cols: null, pick: [], card: "", compare: false, seeds: {}, prompt: "", order: "" };
const TEXTS = ["task", "model", "arch", "strength", "find", "card", "prompt", "order"];
let state = { ...EMPTY };
const watchers = [];

const readState = () => {
  const given = new URLSearchParams(location.hash.slice(1));
  const list = (name) => (given.get(name) || "").split(",").filter(Boolean);
  const found = { ...EMPTY, sort: given.get("sort") || "", down: given.get("dir") === "down", off: given.getAll("hide") };
  for (const name of TEXTS) found[name] = given.get(name) || "";
  found.cols = given.has("cols") ? list("cols") : null;
  found.pick = [...new Set(list("pick"))].slice(0, MOST);
  found.compare = given.get("view") === "compare";
  found.seeds = Object.fromEntries(list("seeds").map((one) => one.split(":")).filter((one) => one.length === 2));
  return found;
};

const address = () => {
  const kept = new URLSearchParams();
  if (state.sort) { kept.set("sort", state.sort); kept.set("dir", state.down ? "down" : "up"); }
  for (const name of TEXTS) if (state[name]) kept.set(name, state[name]);
  for (const name of [...state.off].sort()) kept.append("hide", name);
  if (state.cols) kept.set("cols", state.cols.join(","));
  if (state.pick.length) kept.set("pick", state.pick.join(","));
  if (state.compare) kept.set("view", "compare");
  const seeds = Object.entries(state.seeds).filter(([key]) => state.pick.includes(key));
  if (seeds.length) kept.set("seeds", seeds.map((one) => one.join(":")).join(","));
  return kept.toString();
};

// `quiet` changes, such as typing, add no history entry.
const change = (changes, quiet = false) => {
  state = { ...state, ...changes };
  const text = address();
  const target = text ? `#${text}` : location.pathname + location.search;
  if (quiet) history.replaceState(null, "", target);
  else if (text !== location.hash.slice(1)) history.pushState(null, "", target);
  for (const one of watchers) one();
};
