// Enhances a page that is complete without scripts.
[...table.tHead.rows[0].cells].forEach(makeSortable);
tableRows.forEach(makeChoosable);
offerDownloads();
document.getElementById("columns").addEventListener("toggle", offerColumns);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", (event) => {
  if (event.target === find) return;
  if (event.target.name === "column") {
    const shown = [...document.querySelectorAll("#columns input")].filter((box) => box.checked).map((box) => box.value);
    const own = ownColumns.filter((key) => key !== ALWAYS);
    const same = shown.length === own.length && own.every((key) => shown.includes(key));
    const sort = state.sort === ALWAYS || shown.includes(state.sort) ? state.sort : "";
    change({ cols: same ? null : shown, sort });
    return;
  }
  const off = boxes.filter((box) => !box.checked).map((box) => box.value);
  change({ off, ...Object.fromEntries(selects.map((select) => [select.name, select.value])) });
});
find.addEventListener("input", () => change({ find: find.value }, true));
document.getElementById("reset").addEventListener("click", () => change({ ...EMPTY, pick: state.pick }));
watchers.push(drawTable, drawPicks, drawDrawer);
// The address holds the view's state, so links within the page must not change it.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="#"]');
  const to = link && document.getElementById(link.getAttribute("href").slice(1));
  if (!to) return;
  event.preventDefault();
  to.scrollIntoView();
  to.focus({ preventScroll: true });
});
const restoreChecked = () => {
  state = checked(readState());
  for (const one of watchers) one();
};
addEventListener("hashchange", restoreChecked);
addEventListener("popstate", restoreChecked);
form.hidden = false;
restoreChecked();
