// Downloads of the filtered rows, in the displayed order, with the chosen columns.
const FORMULA = /((?:^|[;\t\r\n])"*)(?=[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])/g;
const LATEX = { "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "%": "\\%", "&": "\\&", "$": "\\$", "#": "\\#", "_": "\\_",
  "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}",
  "\u03c4": "$\\tau$", "\u03b2": "$\\beta$", "\u2212": "$-$", "\u2013": "--", "\u27e8": "$\\langle$", "\u27e9": "$\\rangle$" };

const shownTable = () => {
  const texts = ["task", "model", "arch", "method", "strength"];
  const columns = shownColumns().filter((key) => allValues().metrics.includes(key));
  const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => ({
    row: row.dataset.row,
    texts: texts.map((name) => row.dataset[name]),
    values: columns.map((key) => allValues().rows.get(row.dataset.row)?.get(key) || null),
  }));
  return { texts: texts.map((name) => (name === "arch" ? "architecture" : name)), columns, rows };
};

const asCsv = ({ texts, columns, rows }) => {
  const parts = ["point", "low", "high", "seeds", "prompts"];
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",;\t\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const harmless = (text) => text.replace(FORMULA, "$1'");
  const heads = [...texts, "row", ...columns.flatMap((key) => parts.map((part) => (part === "point" ? key : `${key}_${part}`)))];
  const lines = rows.map((row) => [...row.texts.map(harmless), row.row, ...row.values.flatMap((value) => parts.map((part) => value?.[part]))]);
  return [heads.map(harmless), ...lines].map((line) => line.map(cell).join(",") + "\n").join("");
};

const asJson = ({ texts, columns, rows }) => JSON.stringify({
  address: location.hash,
  rows: rows.map((row) => ({
    row: row.row,
    ...Object.fromEntries(texts.map((name, i) => [name, row.texts[i]])),
    values: Object.fromEntries(columns.map((key, i) => [key, row.values[i]])),
  })),
}, null, 1) + "\n";

const asLatex = ({ texts, columns, rows }) => {
  const plain = (text) => [...String(text)].map((one) => LATEX[one] ?? one).join("");
  const kept = texts.map((_, i) => i).filter((i) => i > 2 || new Set(rows.map((row) => row.texts[i])).size > 1);
  const value = (one) => (one ? `$${one.point.toFixed(3)}$` + (one.low === null ? "" : ` {\\small $[${one.low.toFixed(3)}, ${one.high.toFixed(3)}]$}`) : "--");
  const line = (cells) => `${cells.join(" & ")} \\\\\n`;
  return "% Needs the package booktabs. Points with 95% intervals.\n"
    + `\\begin{tabular}{${"l".repeat(kept.length)}${"r".repeat(columns.length)}}\n\\toprule\n`
    + line([...kept.map((i) => texts[i]), ...columns.map(words)].map(plain)) + "\\midrule\n"
    + rows.map((row) => line([...kept.map((i) => plain(row.texts[i])), ...row.values.map(value)])).join("")
    + "\\bottomrule\n\\end{tabular}\n";
};

const save = (text, name, kind) => {
  const target = URL.createObjectURL(new Blob([text], { type: `${kind};charset=utf-8` }));
  const link = make("a", { href: target, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(target), 10000);
};

// All rows: from a file, following the link would replace the page, so the script saves the text.
const saveAll = (id, text) => {
  const link = document.getElementById(id), said = document.getElementById("unsaved");
  link.addEventListener("click", async (event) => {
    event.preventDefault();
    said.textContent = "";
    try {
      save(await text(link), link.download, id === "csv" ? "text/csv" : "application/json");
    } catch (error) {
      said.textContent = error.message;
    }
  });
};

const offerDownloads = () => {
  saveAll("csv", () => allText());
  saveAll("json", (link) => load(link.dataset.load));
  const formats = [["CSV", asCsv, "csv", "text/csv"], ["JSON", asJson, "json", "application/json"], ["LaTeX", asLatex, "tex", "application/x-tex"]];
  document.getElementById("export").append("Shown rows: ", ...formats.map(([name, write, ending, kind]) =>
    button(name, () => save(write(shownTable()), `rpo-bench-shown.${ending}`, kind), { "aria-label": `Download the shown rows as ${name}` })));
};
