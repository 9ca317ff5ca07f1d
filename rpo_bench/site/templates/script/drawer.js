// The drawer shows a card or a comparison. A modal dialog traps the focus, closes on Escape and restores it.
const drawer = document.getElementById("drawer");
const drawerTitle = document.getElementById("drawer-title");
const drawerBody = document.getElementById("drawer-body");
let drawn = "";
let opener = null;

const part = (title, ...children) => make("section", {}, make("h3", {}, title), ...children);

const wordy = ["Interval covers", "Scored by", "Status"];
const shortName = (text) => (text.length > 60 ? `${text.slice(0, 59)}\u2026` : text);

const numbers = (heads, rows, caption = null) => make("div", { class: "scroll fit", tabindex: "0", role: "region", "aria-label": caption || heads[0] },
  make("table", { class: "plain" }, caption ? make("caption", {}, make("span", { class: "stay" }, caption)) : null,
    make("thead", {}, make("tr", {}, heads.map((head, i) => make("th", { scope: "col", class: wordy.includes(head) ? "words" : i ? "num" : null }, head)))),
    make("tbody", {}, rows.map(([name, ...cells]) => make("tr", {}, make("th", { scope: "row" }, name), cells.map((cell, i) => make("td", { class: wordy.includes(heads[i + 1]) ? "words" : "num" }, cell)))))));

const definitions = (pairs) => make("dl", {}, pairs.filter(([, text]) => text !== null && text !== undefined && text !== "")
  .flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, String(text))]));

const failure = (error) => make("p", { class: "bad", role: "alert" }, error.message);

const closeDrawer = () => change({ card: "", compare: false });

const drawDrawer = () => {
  const wanted = state.card ? `card ${state.card}` : state.compare ? `compare ${state.pick.join(" ")}` : "";
  if (wanted && !drawer.open) { opener = document.activeElement; drawer.showModal(); }
  if (!wanted && drawer.open) {
    drawer.close();
    if (opener?.isConnected) opener.focus();
    else document.getElementById("compare")?.focus();
  }
  if (wanted === drawn) { if (state.compare) redrawComparison(); return; }
  drawn = wanted;
  drawerBody.replaceChildren();
  if (!wanted) return;
  drawer.scrollTop = 0;
  if (state.card) drawCard(state.card);
  else drawComparison(state.pick);
  drawerTitle.focus();
};

drawer.addEventListener("cancel", (event) => { event.preventDefault(); closeDrawer(); });
drawer.addEventListener("click", (event) => { if (event.target === drawer) closeDrawer(); });
document.getElementById("drawer-close").addEventListener("click", closeDrawer);
