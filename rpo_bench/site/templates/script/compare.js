// The chosen rows against the first of them: paired differences, then sample by sample.
const ORDERS = { "": "as stored", gap: "largest difference in reward first", toxic: "most toxic first" };
let comparison = null;

const readRow = async (key) => {
  const of = await load(`row-${key}`);
  const [prompts, shard] = await Promise.all([load(of.prompts), of.samples ? load(of.samples) : null]);
  const checkpoints = shard ? shard.checkpoints.map((one) => ({ seed: one.seed, said: byPrompt(shard, one) })) : [];
  return { key, of, prompts: new Map(prompts.map((one) => [one.id, one.text])), checkpoints };
};

// A metric's mean over each prompt's samples, by seed, on the prompts scored in all seeds of both rows.
const pairedScores = (first, second, metric) => {
  const seeds = [first, second].map((row) => row.checkpoints.map(({ said }) => {
    const means = new Map();
    for (const [prompt, samples] of said) {
      const values = scored(samples, metric);
      if (values.length) means.set(prompt, mean(values));
    }
    return means;
  }).filter((means) => means.size));
  const every = seeds.flat();
  if (!seeds[0].length || !seeds[1].length) return null;
  const prompts = [...every[0].keys()].filter((prompt) => every.every((means) => means.has(prompt)));
  if (!prompts.length) return null;
  return seeds.map((of) => of.map((means) => prompts.map((prompt) => means.get(prompt))));
};

const backend = (row, metric) => row.of.metrics[metric]?.backend ?? null;

const differenceTable = (first, second) => {
  const metrics = tableFirst(Object.keys(first.of.metrics)).filter((name) => name in second.of.metrics && backend(first, name) === backend(second, name));
  const rows = [];
  for (const metric of metrics) {
    const scores = pairedScores(first, second, metric);
    if (!scores) continue;
    const { point, low, high, p, prompts } = pairedDifference(...scores);
    const verdict = low === null ? "undetermined" : low <= 0 && high >= 0 ? "within chance" : point > 0 ? "higher" : "lower";
    rows.push([metricName(metric, first.of.metrics[metric]), ...scores.map((of) => number(mean(of.map(mean)))), number(point), bounds(low, high) || DASH,
      p === null ? DASH : p < 0.001 ? "< 0.001" : number(p), verdict, `${scores[0].length} + ${scores[1].length} seeds \u00d7 ${prompts}`]);
  }
  const names = [first, second].map((row) => shortName(rowName(rowsByKey.get(row.key))));
  if (!rows.length) return make("p", {}, `${names[0]} and ${names[1]} have no scored prompt in common.`);
  return numbers(["Metric", names[0], names[1], "Difference", "95 % interval", "p", "The first is", "n"], rows, `${names[0]} minus ${names[1]}`);
};

// Only for comparable rows with distinct names.
const compareCommand = (rows, apart) => {
  const terms = rows.map(({ of }) => of.compare);
  if (apart || terms.some((one) => one === null)) return null;
  const names = terms.map((one) => one.name);
  if (new Set(names).size < names.length) return null;
  const several = new Set(tableRows.map((one) => `${one.dataset.task}\n${one.dataset.model}`)).size > 1;
  return `rpo-bench compare ${names.join(" ")}${several ? ` --task ${terms[0].task} --model ${terms[0].model}` : ""}`;
};

const klOf = (row) => row.of.metrics.kl?.point ?? null;

// A warning: a difference at unequal KL says nothing about which method is better.
const unequalKl = (rows) => {
  const places = rows.filter((row) => klOf(row) !== null).map((row) => `${shortName(rowName(rowsByKey.get(row.key)))} at ${number(klOf(row), 2)} nats`);
  return make("p", { class: "unequal" }, `Not at equal KL${places.length ? `: ${places.join(", ")}` : ""}. A row further from the reference policy may score higher for that reason alone. These differences therefore say higher or lower, not better or worse.`);
};

const differences = (rows) => {
  const [first, ...others] = rows;
  const apart = others.some((row) => row.of.task !== first.of.task || row.of.model !== first.of.model);
  const command = compareCommand(rows, apart);
  return part("Paired differences", unequalKl(rows), ...others.map((row) => differenceTable(first, row)),
    apart ? make("p", { class: "bad" }, "These rows belong to different tasks or base models. The differences cover only the prompts that they share; conditions differ, so they don\u2019t compare the methods.") : null,
    make("p", { class: "hint" }, "Paired over the prompts that all seeds of both rows answered, with each prompt\u2019s samples averaged, and computed here from the stored scores. "
      + "The interval covers prompts, and training seeds where there are several. It uses the variance of rpo-bench compare with Student\u2019s t in place of the bootstrap. "
      + "Within chance: the interval includes 0. Nothing is adjusted for the number of comparisons.",
    ...(command ? [" Adjusted, at equal KL: ", make("code", {}, command), "."] : [])));
};

const seedOf = (row) => row.checkpoints.find((one) => String(one.seed) === state.seeds[row.key]) || row.checkpoints[0];

const promptOrder = (rows) => {
  const said = rows.map((row) => seedOf(row)?.said).filter(Boolean);
  if (!said.length) return [];
  const shared = [...said[0].keys()].filter((prompt) => said.every((of) => of.has(prompt)));
  const average = (of, prompt, metric) => { const values = scored(of.get(prompt), metric); return values.length ? mean(values) : null; };
  const weigh = {
    gap: (prompt) => { const values = said.map((of) => average(of, prompt, "reward")).filter((one) => one !== null); return values.length ? Math.max(...values) - Math.min(...values) : -1; },
    toxic: (prompt) => Math.max(-1, ...said.map((of) => average(of, prompt, "toxicity") ?? -1)),
  }[state.order];
  if (!weigh) return shared;
  const weights = new Map(shared.map((prompt) => [prompt, weigh(prompt)]));
  return [...shared].sort((a, b) => weights.get(b) - weights.get(a));
};

const sampleColumn = (row, prompt) => {
  const checkpoint = seedOf(row);
  const name = rowName(rowsByKey.get(row.key));
  const seeds = make("select", { "aria-label": `Training seed of ${name}`, on: { change: (event) => change({ seeds: { ...state.seeds, [row.key]: event.target.value } }) } },
    row.checkpoints.map((one) => make("option", { value: one.seed }, `seed ${one.seed}`)));
  if (checkpoint) seeds.value = String(checkpoint.seed);
  const samples = checkpoint?.said.get(prompt) || [];
  return make("div", { class: "answers" }, make("h4", {}, name), checkpoint ? seeds : null,
    ...row.of.missing.map((reason) => make("p", { class: "hint" }, reason)),
    checkpoint && !samples.length ? make("p", {}, "No sample for this prompt.") : null,
    make("p", { class: "hint" }, averages(samples)), make("ul", {}, samples.map(sampleCard)));
};

const showPrompt = (rows, place) => {
  const order = promptOrder(rows);
  const lacking = rows.filter((row) => !row.checkpoints.length);
  if (!order.length) {
    place.replaceChildren(make("p", {}, lacking.length ? "No samples are stored." : "These rows have no prompt in common."), ...rows.flatMap((row) => row.of.missing).map((one) => make("p", { class: "hint" }, one)));
    return;
  }
  const at = Math.max(0, order.indexOf(state.prompt));
  const prompt = order[at];
  const go = (to) => { change({ prompt: order[(to + order.length) % order.length] }, true); };
  const orders = make("select", { name: "order", on: { change: (event) => change({ order: event.target.value, prompt: "" }) } },
    Object.entries(ORDERS).map(([value, text]) => make("option", { value }, text)));
  orders.value = state.order in ORDERS ? state.order : "";
  const text = rows.map((row) => row.prompts.get(prompt)).find((one) => one !== undefined) ?? "";
  const held = document.activeElement?.id;
  place.replaceChildren(
    make("div", { class: "steps" }, button("\u2190 Previous", () => go(at - 1), { id: "previous" }),
      make("span", { "aria-live": "polite", id: "at" }, `Prompt ${at + 1} of ${order.length}`),
      button("Next \u2192", () => go(at + 1), { id: "next" }), make("label", {}, "Order ", orders)),
    make("div", { class: "prompt" }, make("h4", {}, "Prompt"), longText(text)),
    make("div", { class: "side" }, rows.map((row) => sampleColumn(row, prompt))));
  if (held === "next" || held === "previous") document.getElementById(held).focus();
};

const redrawComparison = () => { if (comparison) showPrompt(comparison.rows, comparison.place); };

const drawComparison = async (keys) => {
  const name = `compare ${keys.join(" ")}`;
  drawerTitle.textContent = keys.length === 1 ? `Samples of ${rowName(rowsByKey.get(keys[0]))}` : `${rowName(rowsByKey.get(keys[0]))} against ${keys.slice(1).map((key) => rowName(rowsByKey.get(key))).join(", ")}`;
  comparison = null;
  drawerBody.replaceChildren(make("p", { role: "status" }, "Loading \u2026"));
  try {
    const rows = await Promise.all(keys.map(readRow));
    if (drawn !== name) return;
    const place = make("div", { class: "browser" });
    comparison = { rows, place };
    const turned = keys.length === 2 ? make("p", { class: "actions" }, button("Swap the two", () => change({ pick: [keys[1], keys[0]] }))) : null;
    drawerBody.replaceChildren(...[turned, keys.length > 1 ? differences(rows) : null, part("Samples", place)].filter(Boolean));
    redrawComparison();
  } catch (error) {
    if (drawn === name) drawerBody.replaceChildren(failure(error));
  }
};
