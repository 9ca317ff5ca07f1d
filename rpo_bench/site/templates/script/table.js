// Sorting, filters and the choice of rows.
const form = document.getElementById("filters");
const boxes = [...form.querySelectorAll('input[name="method"]')];
const selects = [...form.querySelectorAll("select")];
const find = form.querySelector('input[name="find"]');
const shownCount = document.getElementById("shown");

// Invalid parts of an address are ignored.
const checked = (of) => {
  const options = (name) => [...(selects.find((one) => one.name === name)?.options || [])].map((one) => one.value);
  const columns = of.cols || ownColumns.includes(of.sort) || !of.sort ? null : knownColumns();
  const found = { ...of, off: of.off.filter((name) => boxes.some((box) => box.value === name)) };
  for (const name of ["task", "model", "arch", "strength"]) if (!options(name).includes(of[name])) found[name] = "";
  if (of.cols) found.cols = of.cols.filter((key) => knownColumns().includes(key));
  const sortable = of.cols ? [ALWAYS, ...found.cols] : columns ? [] : ownColumns;
  if (!sortable.includes(of.sort)) found.sort = "";
  found.pick = of.pick.filter((key) => rowsByKey.has(key));
  found.card = rowsByKey.has(of.card) ? of.card : "";
  found.compare = of.compare && found.pick.length > 0 && !found.card;
  return found;
};

const cellValue = (row, index, key) => {
  const text = row.cells[index].dataset.v;
  if (text === undefined || text === "") return null;
  const value = Number(text);
  return Number.isNaN(value) || key === "method" ? text : value;
};

// Rows without a value come last in either direction.
const byColumn = (index) => (a, b) => {
  const x = cellValue(a, index, state.sort), y = cellValue(b, index, state.sort);
  if (x === null || y === null) return (x === null) - (y === null);
  const order = typeof x === "number" && typeof y === "number" ? x - y : String(x) < String(y) ? -1 : String(x) > String(y) ? 1 : 0;
  return state.down ? -order : order;
};

const isHidden = ({ task, model, arch, method, strength }) => {
  const wanted = state.find.trim().toLowerCase();
  const text = [method, model, task, strength, arch].join(" ").toLowerCase();
  return state.off.includes(method) || (state.task && state.task !== task) || (state.model && state.model !== model)
    || (state.arch && state.arch !== arch) || (state.strength && state.strength !== strength)
    || !wanted.split(/\s+/).every((word) => text.includes(word));
};

let drawnOrder = null;
const drawOrder = () => {
  const heads = [...table.tHead.rows[0].cells];
  const index = heads.findIndex((head) => head.dataset.k === state.sort);
  const order = index < 0 ? "" : `${state.sort} ${state.down}`;
  if (order !== drawnOrder) table.tBodies[0].append(...(index < 0 ? tableRows : [...tableRows].sort(byColumn(index))));
  drawnOrder = order;
  table.classList.toggle("sorted", index >= 0);
  heads.forEach((head, i) => {
    if (i === index) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
};

const drawTable = () => {
  drawColumns();
  drawOrder();
  let count = 0;
  for (const row of tableRows) {
    row.hidden = Boolean(isHidden(row.dataset));
    if (!row.hidden) count += 1;
  }
  for (const group of document.querySelectorAll("g[data-method], table.plain tr[data-method]"))
    group.classList.toggle("off", state.off.includes(group.dataset.method));
  for (const section of document.querySelectorAll("section.pictures")) {
    const { task, model } = section.dataset;
    section.hidden = Boolean((state.task && state.task !== task) || (state.model && state.model !== model));
  }
  for (const box of boxes) box.checked = !state.off.includes(box.value);
  for (const select of selects) select.value = state[select.name];
  if (find.value !== state.find) find.value = state.find;
  const text = count === tableRows.length ? `${count} rows` : `${count} of ${tableRows.length} rows`;
  if (shownCount.textContent !== text) shownCount.textContent = text;
};

const makeSortable = (head) => {
  head.dataset.name ||= head.firstChild.textContent.trim();
  const press = make("button", { type: "button" });
  press.append(...head.childNodes);
  head.append(press);
  press.addEventListener("click", () => {
    const key = head.dataset.k;
    const way = head.querySelector(".way");
    const first = way ? way.textContent === "\u2191" : false;
    if (state.sort !== key) change({ sort: key, down: first });
    else if (state.down === first) change({ down: !first });
    else change({ sort: "", down: false });
  });
};

const rowName = (row) => {
  const { method, strength, model } = row.dataset;
  const several = new Set(tableRows.map((one) => one.dataset.model)).size > 1;
  return [method, strength && `(${strength})`, several && `on ${model}`].filter(Boolean).join(" ");
};

const pickRow = (key, picked) =>
  change({ pick: picked ? [...state.pick, key].slice(0, MOST) : state.pick.filter((one) => one !== key) });

// A checkbox that selects the row for comparison, and its name as a link to its card.
const makeChoosable = (row) => {
  const key = row.dataset.row;
  const name = row.querySelector("th.method .name");
  const ink = name.querySelector(".ink");
  const box = make("input", { type: "checkbox", class: "pick", "aria-label": `Choose ${rowName(row)} to compare`,
    on: { change: (event) => pickRow(key, event.target.checked) } });
  const opener = button("", () => change({ card: key, compare: false }), { class: "open", "aria-haspopup": "dialog", title: "Spec, command, cost and all metrics" });
  ink.replaceWith(opener);
  opener.append(ink);
  name.prepend(box);
};

const drawPicks = () => {
  const tray = document.getElementById("tray");
  for (const row of tableRows) {
    const box = row.querySelector("input.pick"), picked = state.pick.includes(row.dataset.row);
    box.checked = picked;
    box.disabled = !picked && state.pick.length >= MOST;
    row.classList.toggle("picked", picked);
  }
  tray.hidden = state.pick.length === 0;
  const chips = state.pick.map((key) => {
    const name = rowName(rowsByKey.get(key));
    return make("span", { class: "chosen" }, make("span", {}, name), button("\u00d7", () => { pickRow(key, false); document.getElementById("compare").focus(); }, { "aria-label": `Don\u2019t choose ${name}` }));
  });
  const label = state.pick.length === 1 ? "Read its samples" : `Compare ${state.pick.length} rows`;
  tray.replaceChildren(...chips, button(label, () => change({ compare: true, card: "" }), { id: "compare", class: "strong", "aria-haspopup": "dialog" }),
    button("Clear", () => change({ pick: [] })));
};
