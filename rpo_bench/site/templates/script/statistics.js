// The paired difference of two rows: the variance over seeds and prompts that rpo_bench/stats/layout.py
// computes, with Student's t. Scores are arrays over seeds of arrays over prompts.
const mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;

const variance = (values) => {
  const middle = mean(values);
  return values.reduce((sum, one) => sum + (one - middle) ** 2, 0) / (values.length - 1);
};

const overSeeds = (scores) => scores[0].map((_, prompt) => mean(scores.map((of) => of[prompt])));

const residual = (scores) => {
  const free = (scores.length - 1) * (scores[0].length - 1);
  if (!free) return 0;
  const seeds = scores.map(mean), prompts = overSeeds(scores), all = mean(seeds);
  let squares = 0;
  scores.forEach((of, s) => of.forEach((one, p) => { squares += (one - seeds[s] - prompts[p] + all) ** 2; }));
  return squares / free;
};

const spread = (first, second) => {
  const several = [first, second].filter((scores) => scores.length > 1);
  const a = overSeeds(first), b = overSeeds(second), count = a.length;
  const seedParts = several.map((x) => [variance(x.map(mean)) / x.length, x.length - 1]);
  const promptPart = count > 1 ? variance(a.map((one, p) => one - b[p])) / count : 0;
  const cellParts = several.map((x) => [residual(x) / (x.length * count), (x.length - 1) * (count - 1)]);
  const seeds = seedParts.reduce((sum, [part]) => sum + part, 0);
  const total = Math.max(seeds + promptPart - cellParts.reduce((sum, [part]) => sum + part, 0), seeds, promptPart);
  const squares = [...seedParts, [promptPart, count - 1], ...cellParts]
    .filter(([, free]) => free > 0).reduce((sum, [part, free]) => sum + part ** 2 / free, 0);
  return { variance: total, freedom: squares > 0 ? total ** 2 / squares : Infinity };
};

const logGamma = (x) => {
  // Lanczos' approximation, to about 1e-13.
  const terms = [676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const t = x + 6.5;
  const sum = terms.reduce((all, term, i) => all + term / (x + i), 0.99999999999980993);
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
};

// The regularised incomplete beta function, by Lentz's continued fraction.
const beta = (x, a, b) => {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - beta(1 - x, b, a);
  const tiny = 1e-300, kept = (value) => (Math.abs(value) < tiny ? tiny : value);
  let c = 1, d = 1 / kept(1 - ((a + b) * x) / (a + 1)), found = d;
  for (let m = 1; m < 500; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    let change = 1;
    for (const step of [even, odd]) {
      d = 1 / kept(1 + step * d);
      c = kept(1 + step / c);
      change = d * c;
      found *= change;
    }
    if (Math.abs(change - 1) < 1e-14) break;
  }
  const front = logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x);
  return (Math.exp(front) * found) / a;
};

// Two-sided p-value of Student's t; beyond 1e5 degrees of freedom it is the normal one to five digits.
const studentP = (t, freedom) => {
  const free = Math.min(freedom, 1e5);
  return beta(free / (free + t * t), free / 2, 0.5);
};

const studentQuantile = (freedom, level) => {
  let low = 0, high = 1;
  while (studentP(high, freedom) > 1 - level && high < 1e6) high *= 2;
  for (let i = 0; i < 80; i += 1) {
    const middle = (low + high) / 2;
    if (studentP(middle, freedom) > 1 - level) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
};

const pairedDifference = (first, second, level = 0.95) => {
  const point = mean(first.map(mean)) - mean(second.map(mean));
  const found = { point, low: null, high: null, p: null, prompts: first[0].length };
  if (found.prompts < 2) return found;
  const { variance: of, freedom } = spread(first, second);
  if (!(of > 1e-18)) return found;
  const reach = studentQuantile(freedom, level) * Math.sqrt(of);
  return { ...found, low: point - reach, high: point + reach, p: studentP(point / Math.sqrt(of), freedom) };
};
