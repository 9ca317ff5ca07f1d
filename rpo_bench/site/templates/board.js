"use strict";
// Adds to a page that is complete without it: sorting, filters, and their state in the address.
(() => {
  const table = document.getElementById("rows");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows];
  const form = document.getElementById("filters");
  const boxes = [...form.querySelectorAll('input[name="method"]')];
  const selects = [...form.querySelectorAll("select")];
  const shown = document.getElementById("shown");
  const start = { sort: "", down: false, off: new Set(), task: "", model: "" };
  let state = { ...start };

  const read = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    const known = heads.map((head) => head.dataset.k);
    const sort = given.get("sort") || "";
    state = {
      sort: known.includes(sort) ? sort : "",
      down: given.get("dir") === "down",
      off: new Set(given.getAll("hide").filter((name) => boxes.some((box) => box.value === name))),
      task: "",
      model: "",
    };
    for (const select of selects) {
      const wanted = given.get(select.name) || "";
      state[select.name] = [...select.options].some((one) => one.value === wanted) ? wanted : "";
    }
  };

  const write = () => {
    const kept = new URLSearchParams();
    if (state.sort) { kept.set("sort", state.sort); kept.set("dir", state.down ? "down" : "up"); }
    if (state.task) kept.set("task", state.task);
    if (state.model) kept.set("model", state.model);
    for (const name of [...state.off].sort()) kept.append("hide", name);
    const text = kept.toString();
    history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  };

  const value = (row, index) => {
    const text = row.cells[index].dataset.v;
    if (text === undefined || text === "") return null;
    const number = Number(text);
    return Number.isNaN(number) || heads[index].dataset.k === "method" ? text : number;
  };

  // Rows without a value come last whichever way the others go.
  const compare = (index) => (a, b) => {
    const x = value(a, index), y = value(b, index);
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === "number" && typeof y === "number" ? x - y : String(x) < String(y) ? -1 : String(x) > String(y) ? 1 : 0;
    return state.down ? -order : order;
  };

  const draw = () => {
    const index = heads.findIndex((head) => head.dataset.k === state.sort);
    const ordered = index < 0 ? rows : [...rows].sort(compare(index));
    body.append(...ordered);
    table.classList.toggle("sorted", index >= 0);
    heads.forEach((head, i) => {
      if (i === index) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    let count = 0;
    for (const row of rows) {
      const { task, model, method } = row.dataset;
      const hidden = state.off.has(method) || (state.task && state.task !== task) || (state.model && state.model !== model);
      row.hidden = Boolean(hidden);
      if (!hidden) count += 1;
    }
    for (const group of document.querySelectorAll("g[data-method], table.plain tr[data-method]"))
      group.classList.toggle("off", state.off.has(group.dataset.method));
    for (const section of document.querySelectorAll("section.pictures")) {
      const { task, model } = section.dataset;
      section.hidden = Boolean((state.task && state.task !== task) || (state.model && state.model !== model));
    }
    for (const box of boxes) box.checked = !state.off.has(box.value);
    for (const select of selects) select.value = state[select.name];
    shown.textContent = count === rows.length ? `${count} rows` : `${count} of ${rows.length} rows`;
  };

  heads.forEach((head) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const key = head.dataset.k;
      const better = head.querySelector(".way");
      const first = better ? better.textContent === "↑" : false;
      if (state.sort !== key) { state.sort = key; state.down = first; }
      else if (state.down === first) state.down = !first;
      else { state.sort = ""; state.down = false; }
      write();
      draw();
    });
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => {
    state.off = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
    for (const select of selects) state[select.name] = select.value;
    write();
    draw();
  });
  document.getElementById("reset").addEventListener("click", () => {
    state = { ...start, off: new Set() };
    write();
    draw();
  });
  addEventListener("hashchange", () => { read(); draw(); });
  form.hidden = false;
  read();
  draw();
})();
