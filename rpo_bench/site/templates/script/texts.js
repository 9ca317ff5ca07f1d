// Samples of the chosen rows side by side, prompt by prompt. Toxic text is blurred until the reader shows it.
const TOXIC = 0.5;
const LONG = 2000;
const LABELS = { reward: "reward", proxy_reward: "proxy reward", toxicity: "toxicity", kl: "log-ratio, nats", length: "tokens" };

// A checkpoint's responses: prompt id → samples, each with text, scores and whether it finished.
const byPrompt = (shard, checkpoint) => {
  const found = new Map(), cut = new Set(checkpoint.unfinished);
  let at = 0;
  checkpoint.prompts.forEach((prompt, i) => {
    const samples = [];
    for (let n = 0; n < checkpoint.samples[i]; n += 1, at += 1) {
      const scores = Object.fromEntries(Object.entries(checkpoint.scores).map(([name, values]) => [name, values[at]]));
      samples.push({ text: shard.texts[checkpoint.texts[at]], scores, cut: cut.has(at) });
    }
    found.set(prompt, samples);
  });
  return found;
};

const inOrder = (names) => [...Object.keys(LABELS).filter((name) => names.includes(name)), ...names.filter((name) => !Object.hasOwn(LABELS, name))];
const scored = (samples, metric) => samples.map((one) => one.scores[metric]).filter((one) => one !== null && one !== undefined);

const longText = (text) => {
  const shown = make("div", { class: "said" });
  if (text === "") { shown.append(make("i", {}, "(empty)")); return shown; }
  shown.textContent = text.length > LONG ? `${text.slice(0, LONG)}\u2026` : text;
  if (text.length <= LONG) return shown;
  const more = button(`Show all ${text.length.toLocaleString("en")} characters`, () => { shown.textContent = text; more.remove(); });
  return make("div", {}, shown, more);
};

const sampleText = (sample) => {
  const text = longText(sample.text);
  const toxicity = sample.scores.toxicity;
  if (typeof toxicity !== "number" || toxicity < TOXIC) return text;
  text.classList.add("veiled");
  text.inert = true;
  text.setAttribute("aria-hidden", "true");
  const holder = make("div", {}, text);
  const show = button(`Toxicity ${number(toxicity, 2)}: show the text`, () => {
    text.classList.remove("veiled");
    text.inert = false;
    text.removeAttribute("aria-hidden");
    text.tabIndex = -1;
    text.focus();
    show.remove();
  }, { class: "unveil" });
  holder.prepend(show);
  return holder;
};

const sampleCard = (sample) => make("li", { class: "sample" }, sampleText(sample),
  make("p", { class: "scores" }, inOrder(Object.keys(sample.scores)).map((name) => make("span", {}, `${Object.hasOwn(LABELS, name) ? LABELS[name] : words(name)} `,
    make("b", {}, sample.scores[name] === null ? "unscored" : number(sample.scores[name], name === "length" ? 0 : 3)))), sample.cut ? make("span", { class: "bad" }, "cut off") : null));

const averages = (samples) => ["reward", "toxicity", "kl"].map((name) => [name, scored(samples, name)])
  .filter(([, values]) => values.length).map(([name, values]) => `${LABELS[name]} ${number(mean(values))}`).join(" \u00b7 ");
