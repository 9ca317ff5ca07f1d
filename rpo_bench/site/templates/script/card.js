// The card of a row: all details of its checkpoints.
const bytes = (n) => (n ? `${(n / 2 ** 20).toFixed(0)} MiB` : "");
const seconds = (n) => (n ? `${number(n, n < 10 ? 1 : 0)} s` : DASH);

const metricName = (name, of) => (of.unit ? `${words(name)}, ${of.unit.startsWith("of ") ? "in units " : ""}${of.unit}` : words(name));

// The table's metrics first, in its order.
const tableFirst = (names) => [...ownColumns.filter((name) => names.includes(name)), ...names.filter((name) => !ownColumns.includes(name))];

const metricsPart = (of) => {
  const rows = tableFirst(Object.keys(of.metrics)).map((name) => [name, of.metrics[name]]).map(([name, one]) => [metricName(name, one), number(one.point), bounds(one.low, one.high) || DASH,
    one.prompts === null ? `${one.seeds}` : `${one.seeds} \u00d7 ${one.prompts}`,
    one.levels.join(", ") || DASH, one.backend || DASH, of.unscored[name] ? String(of.unscored[name]) : "0"]);
  return rows.length ? part("Metrics", numbers(["Metric", "Mean", "95 % interval", "n", "Interval covers", "Scored by", "Unscored"], rows))
    : part("Metrics", make("p", {}, "Every run diverged, so there is nothing to measure."));
};

const commandPart = (of) => {
  const commands = [...new Set(of.checkpoints.map((one) => one.command))];
  const said = make("output", { "aria-live": "polite" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(commands.join("\n"));
      said.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(code);
      said.textContent = "Selected: press Ctrl+C to copy.";
    }
  };
  const code = make("pre", { tabindex: "0", role: "region", "aria-label": "Commands" }, commands.join("\n"));
  return part("To reproduce", code, button(commands.length === 1 ? "Copy the command" : "Copy the commands", copy), " ", said);
};

const costPart = (of) => {
  const rows = of.checkpoints.map(({ seed, status, reason, cost, cell }) => [`seed ${seed}`, reason ? `${status}: ${reason}` : status, seconds(cost.train_seconds),
    cost.train_tokens ? cost.train_tokens.toLocaleString("en") : DASH, cost.rollouts ? cost.rollouts.toLocaleString("en") : DASH,
    bytes(cost.peak_memory_bytes) || DASH, seconds(cost.generate_seconds), cell.slice(0, 12)]);
  return part("Checkpoints and their cost", numbers(["Checkpoint", "Status", "Training", "Tokens", "Rollouts", "Peak memory", "Generating", "Cell"], rows));
};

const stabilityPart = (of) => {
  const rows = Object.entries(of.stability).map(([name, value]) => [words(name), number(value)]);
  return rows.length ? part("Stability, averaged over the seeds", numbers(["Measure", "Mean"], rows)) : null;
};

const plainText = (value) => JSON.stringify(value, null, 2);
const specPart = (of) => part("Spec", make("pre", { tabindex: "0", role: "region", "aria-label": "Spec" }, plainText(of.spec)));

const environmentPart = (of) => part("Environment", ...of.environments.map((one) => definitions([
  ["Commit", one.git_commit && `${one.git_commit}${one.git_dirty ? ", with uncommitted changes" : ""}`],
  ["Packages", Object.entries(one.packages).map((pair) => pair.join(" ")).join(", ")], ["Python", one.python],
  ["Machine", [one.platform, one.processor, one.device, one.dtype, counted(one.threads, "thread")].filter(Boolean).join(", ")],
])));

const hashesPart = (of) => part("Hashes", make("pre", { tabindex: "0", role: "region", "aria-label": "Hashes" },
  plainText(Object.fromEntries(of.checkpoints.map((one) => [`seed ${one.seed}`, { cell: one.cell, ...one.hashes }])))));

// The parts of a card, in order; add further details of a checkpoint here.
const CARD_PARTS = [metricsPart, commandPart, costPart, stabilityPart, specPart, environmentPart, hashesPart];

const drawCard = async (key) => {
  const name = `card ${key}`;
  drawerTitle.textContent = rowName(rowsByKey.get(key));
  try {
    const of = await load(`row-${key}`);
    if (drawn !== name) return;
    const picked = state.pick.includes(key);
    const kind = of.architecture === of.model ? "" : ` (${of.architecture})`;
    const about = `${of.task} with ${of.model}${kind}; ${counted(of.checkpoints.length, "training seed")}, ${of.badge}.`;
    const actions = make("p", { class: "actions" },
      of.samples ? button("Read its samples", () => change({ pick: [key], compare: true, card: "" }), { class: "strong" }) : null,
      picked || state.pick.length >= MOST ? null : button("Add to comparison", () => change({ pick: [...state.pick, key], card: "" })));
    drawerBody.replaceChildren(make("p", {}, about), actions, ...CARD_PARTS.map((draw) => draw(of)).filter(Boolean));
  } catch (error) {
    if (drawn === name) drawerBody.replaceChildren(failure(error));
  }
};
