// Elements, numbers and files. Text from outside only ever becomes textContent or an attribute's value.
const MINUS = "\u2212", DASH = "\u2013";

const make = (tag, given = {}, ...children) => {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, does] of Object.entries(value)) found.addEventListener(event, does);
    else if (name in found && typeof value === "boolean") found[name] = value;
    else found.setAttribute(name, value === true ? "" : value);
  }
  found.append(...children.flat().filter((one) => one !== null && one !== undefined));
  return found;
};

const button = (text, does, given = {}) => make("button", { type: "button", on: { click: does }, ...given }, text);

const number = (value, digits = 3) => {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", MINUS);
};

const bounds = (low, high, digits = 3) =>
  low === null || high === null || low === undefined || high === undefined ? "" : `[${number(low, digits)}, ${number(high, digits)}]`;

const words = (name) => name.replaceAll("_", " ");
const counted = (n, noun) => `${n.toLocaleString("en")} ${n === 1 ? noun : noun + "s"}`;

// A page opened from a file can load nothing but scripts. Each calls rpoBench.take with deflated JSON in
// base 64.
const taken = new Map();
const pending = new Map();
Object.defineProperty(globalThis, "rpoBench", {
  value: Object.freeze({ take: (name, value) => { taken.set(name, value); } }),
});

const unpack = async (name) => {
  if (typeof DecompressionStream === "undefined") throw new Error("This browser is too old to load the page\u2019s data: use one from 2023 or later.");
  try {
    const bytes = Uint8Array.from(atob(taken.get(name)), (one) => one.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(plain).text());
  } catch {
    throw new Error(`data/${name}.js is damaged.`);
  } finally {
    taken.delete(name);
  }
};

const load = (name) => {
  if (!/^[a-z]+-[0-9a-f]+$/.test(name)) return Promise.reject(new Error("There is no such file."));
  if (!pending.has(name)) {
    const missing = () => new Error(`data/${name}.js can\u2019t be read: keep the folder \u201cdata\u201d beside the page.`);
    pending.set(name, new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.addEventListener("load", () => { script.remove(); if (taken.has(name)) done(unpack(name)); else failed(missing()); });
      script.addEventListener("error", () => { script.remove(); pending.delete(name); failed(missing()); });
      document.head.append(script);
    }));
  }
  return pending.get(name);
};
