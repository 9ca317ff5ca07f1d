// The table's own columns, and one for every other metric of the rows, created on demand.
const table = document.getElementById("rows");
const tableRows = [...table.tBodies[0].rows];
const rowsByKey = new Map(tableRows.map((row) => [row.dataset.row, row]));
const ownColumns = [...table.tHead.rows[0].cells].map((head) => head.dataset.k);
const ALWAYS = "method";

// The page embeds its table as CSV, at full precision: metric → five numbers, by row.
const readCsv = (text) => {
  const lines = [];
  let cells = [], cell = "", quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const one = text[i];
    if (quoted) {
      if (one !== '"') cell += one;
      else if (text[i + 1] === '"') { cell += one; i += 1; }
      else quoted = false;
    } else if (one === '"') quoted = true;
    else if (one === "," || one === "\n") {
      cells.push(cell);
      cell = "";
      if (one === "\n") { lines.push(cells); cells = []; }
    } else cell += one;
  }
  return lines;
};

const allText = () => {
  const href = document.getElementById("csv").getAttribute("href");
  return decodeURIComponent(href.slice(href.indexOf(",") + 1));
};

let valuesOfRows = null;
const allValues = () => {
  if (valuesOfRows) return valuesOfRows;
  const [heads, ...lines] = readCsv(allText());
  const key = heads.indexOf("row");
  const metrics = heads.filter((head, i) => i > key && heads[i + 1] === `${head}_low`);
  valuesOfRows = { metrics, rows: new Map() };
  for (const line of lines) {
    const of = new Map();
    for (const metric of metrics) {
      const at = heads.indexOf(metric);
      const [point, low, high, seeds, prompts] = line.slice(at, at + 5).map((one) => (one === "" ? null : Number(one)));
      if (point !== null) of.set(metric, { point, low, high, seeds, prompts });
    }
    valuesOfRows.rows.set(line[key], of);
  }
  return valuesOfRows;
};

const columnHead = (key) => [...table.tHead.rows[0].cells].find((head) => head.dataset.k === key);

const addColumn = (metric) => {
  if (columnHead(metric)) return;
  const head = make("th", { scope: "col", "data-k": metric, class: "num", "aria-label": words(metric) }, words(metric));
  table.tHead.rows[0].append(head);
  for (const row of tableRows) {
    const value = allValues().rows.get(row.dataset.row)?.get(metric);
    if (!value) { row.append(make("td", { class: "num none" }, DASH)); continue; }
    const n = value.prompts === null ? `${value.seeds}` : `${value.seeds} \u00d7 ${value.prompts}`;
    row.append(make("td", { class: "num", "data-v": value.point }, make("b", {}, number(value.point)), " ",
      make("span", { class: "ci" }, bounds(value.low, value.high)), " ", make("span", { class: "n" }, `n\u202f=\u202f${n}`)));
  }
  makeSortable(head);
};

const knownColumns = () => [...ownColumns, ...allValues().metrics.filter((name) => !ownColumns.includes(name))];
const shownColumns = () => (state.cols ? [ALWAYS, ...state.cols.filter((key) => key !== ALWAYS)] : ownColumns);

const drawColumns = () => {
  const shown = new Set(shownColumns());
  for (const key of shown) if (!ownColumns.includes(key)) addColumn(key);
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    const hidden = !shown.has(head.dataset.k);
    if (head.hidden === hidden) return;
    head.hidden = hidden;
    for (const row of tableRows) row.cells[i].hidden = hidden;
  });
  for (const box of document.querySelectorAll("#columns input")) box.checked = shown.has(box.value);
};

// The list is created when it is first opened: few readers use it.
const offerColumns = () => {
  const place = document.querySelector("#columns fieldset");
  if (place.querySelector("input")) return;
  for (const key of knownColumns()) {
    if (key === ALWAYS) continue;
    const head = columnHead(key);
    const name = head ? head.dataset.name : words(key);
    place.append(make("label", {}, make("input", { type: "checkbox", name: "column", value: key }), " ", name));
  }
  drawColumns();
};
