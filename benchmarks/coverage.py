"""How often the 95 % intervals hold the truth, and how often ``compare`` claims what isn't so, by simulation.

    python benchmarks/coverage.py [--worlds 1000] [--resamples 400]

Every world is drawn anew with a known truth. The table is in docs/statistics.md.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rpo_bench.analysis.improvement import improvement, improvement_at
from rpo_bench.analysis.matched import within
from rpo_bench.stats.aggregates import aggregate_interval, iqm
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.bootstrap import mean_over_prompts
from rpo_bench.stats.bradley_terry import Games, ratings
from rpo_bench.stats.contrast import Contrast
from rpo_bench.stats.frontier import area_within, frontier_points
from rpo_bench.stats.interval import Interval
from rpo_bench.stats.jackknife import jackknife_interval
from rpo_bench.stats.joint import Joint, Term
from rpo_bench.stats.length_control import length_controlled
from rpo_bench.stats.multiplicity import holm
from rpo_bench.stats.overoptimisation import overoptimisation
from rpo_bench.stats.per_seed import welch_difference
from rpo_bench.stats.rates import rate_interval

Kind = Callable[[np.random.Generator, int, int], Interval]

PROMPTS = 40
SEEDS = (3, 5, 10)
BUDGET = 1.0
KLS = (0.5, 1.5)
GAINS = (0.3, 0.7)


@dataclass(frozen=True)
class Regime:
    """Standard deviations of what a seed, a prompt, and a seed on a prompt add to a score."""

    seed: float
    prompt: float
    cell: float

    def scores(self, rng: np.random.Generator, seeds: int, prompts: Floats) -> Floats:
        """(S, P) with mean 0 but for the prompts' own effect, (P,)."""
        cell = self.cell * rng.normal(size=(seeds, len(prompts)))
        return np.asarray(self.seed * rng.normal(size=(seeds, 1)) + prompts + cell)


REGIMES = {"seeds": Regime(0.5, 0.3, 0.5), "prompts": Regime(0.05, 1.0, 0.3), "noise": Regime(0.02, 0.2, 1.0)}


def checkpoint(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """One checkpoint's mean, skewed scores; the true mean is taken off."""
    return mean_over_prompts(rng.exponential(size=(PROMPTS, 2)) - 1, rng, resamples=resamples)


def rate(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """A rate of 10 % on 60 prompts; the truth is taken off."""
    found = rate_interval(int(rng.binomial(60, 0.1)), 60)
    return _less(found, 0.1)


def pair(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """Two checkpoints on shared prompts."""
    prompts = rng.normal(size=PROMPTS)
    both = [prompts + 0.3 * rng.normal(size=(1, PROMPTS)) for _ in range(2)]
    return contrast(rng, both, resamples).interval


def method(regime: Regime) -> Kind:
    """One method's mean over seeds and prompts."""

    def draw(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
        scores = regime.scores(rng, seeds, regime.prompt * rng.normal(size=PROMPTS))
        return contrast(rng, [scores], resamples).interval

    return draw


def difference(regime: Regime) -> Kind:
    """Two methods on shared prompts."""

    def draw(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
        prompts = regime.prompt * rng.normal(size=PROMPTS)
        return contrast(rng, [regime.scores(rng, seeds, prompts) for _ in range(2)], resamples).interval

    return draw


def contrast(rng: np.random.Generator, methods: Sequence[Floats], resamples: int) -> Contrast:
    """A method's mean, or the first one's less the second's, by the joint bootstrap; (S, P) each."""
    joint = Joint(int(rng.integers(2**60)), PROMPTS, resamples)
    terms = [
        Term(str(i), sign, joint.means(scores.T), np.ones(PROMPTS, dtype=bool))
        for i, (sign, scores) in enumerate(zip((1.0, -1.0), methods, strict=False))
    ]
    return joint.contrast(terms)


@dataclass(frozen=True)
class Frontiers:
    """Methods with two strengths each and equal true frontiers, as resampled means."""

    joint: Joint
    values: tuple[Floats, ...]  # of each method (1 + P + R, S)

    def contrast(self, first: int, second: int) -> Contrast:
        """One method less another."""
        scored = np.ones(PROMPTS, dtype=bool)
        signed = ((first, 1.0), (second, -1.0))
        return self.joint.contrast([Term(str(i), sign, self.values[i], scored) for i, sign in signed])


def frontiers(rng: np.random.Generator, seeds: int, resamples: int, count: int, area: bool) -> Frontiers:
    """Draws ``count`` equal methods and reads each seed's reward at 1 nat, or the area up to it."""
    joint = Joint(int(rng.integers(2**60)), PROMPTS, resamples)
    easy = 0.5 * rng.normal(size=PROMPTS)
    start = joint.means((easy + 0.1 * rng.normal(size=PROMPTS))[:, None])[:, 0]
    found = []
    for _ in range(count):
        columns = []
        for _ in range(seeds):
            luck, drift = 0.06 * rng.normal(), 1 + 0.1 * rng.normal()
            for kl, gain in zip(KLS, GAINS, strict=True):
                columns.append(kl * drift * (1 + 0.2 * rng.normal(size=PROMPTS)))
                columns.append(easy + gain + luck + 0.3 * rng.normal(size=PROMPTS))
        means = joint.means(np.stack(columns, axis=1)).reshape(-1, seeds, len(KLS), 2)
        of = [_read(means[:, s, :, 0], means[:, s, :, 1], start, area) for s in range(seeds)]
        found.append(np.stack(of, axis=1))
    return Frontiers(joint, tuple(found))


def _read(kl: Floats, reward: Floats, start: Floats, area: bool) -> Floats:
    if area:
        return area_within(frontier_points(kl, reward, start), BUDGET)
    return within(kl, reward, start, BUDGET)


def at_kl(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """Two methods' rewards at 1 nat."""
    return frontiers(rng, seeds, resamples, 2, area=False).contrast(0, 1).interval


def under(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """Two methods' areas under the frontier up to 1 nat."""
    return frontiers(rng, seeds, resamples, 2, area=True).contrast(0, 1).interval


def corpus(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """Two methods by one number per seed."""
    return welch_difference(rng.normal(size=seeds), 2 * rng.normal(size=seeds)).interval


def aggregate(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """The interquartile mean over three tasks."""
    scores = rng.normal(size=(seeds, 3))
    return aggregate_interval(scores, iqm, rng, resamples=resamples)


def at_equal_length(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """A win rate of ½ at equal length by a judge that likes length; the truth is taken off."""
    gap = rng.normal(60, 100, 200)
    odds = 1.5 * np.tanh(gap / gap.std())
    scores = (rng.random(200) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    return _less(length_controlled(scores, gap, rng, resamples=resamples).win_rate, 0.5)


def jackknifed(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """A corpus metric of a checkpoint: the deviation of 40 normal numbers; the truth is taken off."""
    values = rng.normal(size=PROMPTS)
    without = [np.delete(values, i).std(ddof=1) for i in range(PROMPTS)]
    return _less(jackknife_interval(float(values.std(ddof=1)), np.array(without)), 1.0)


def rating(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """0.6 logits above the anchor, by two games of each of 100 questions that share their luck."""
    luck = np.repeat(rng.random(100), 2)
    asked, one = np.repeat(np.arange(100), 2), np.ones(200, dtype=np.int64)
    won = (luck < 1 / (1 + np.exp(-0.6))).astype(np.float64)
    found = ratings(Games(("anchor", "player"), asked, one, 0 * one, won), rng, resamples=resamples)
    return _less(found["player"], 0.6)


def improving(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """How often a run of one method beats one of an equal one, on two tasks; ½ is taken off."""
    return _less(improvement(rng.normal(size=(seeds, 2)), rng.normal(size=(seeds, 2)), rng), 0.5)


def improving_at_kl(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """The same on one task, over seeds and prompts."""
    drawn = frontiers(rng, seeds, resamples, 2, area=False)
    first, second = (Term(str(i), 1.0, drawn.values[i], np.ones(PROMPTS, dtype=bool)) for i in range(2))
    return _less(improvement_at(first, second, drawn.joint), 0.5)


def peak(rng: np.random.Generator, seeds: int, resamples: int) -> Interval:
    """The KL at which gold is largest: gains √KL − KL/4 peak at 4 nats, of strengths up to 9."""
    joint = Joint(int(rng.integers(2**60)), PROMPTS, resamples)
    columns = []
    for _ in range(seeds):
        luck = 0.05 * rng.normal()
        for nats in (0.5, 2.0, 5.0, 9.0):
            columns.append(nats * (1 + 0.1 * rng.normal(size=PROMPTS)))
            columns.append(np.sqrt(nats) - nats / 4 + luck + 0.2 * rng.normal(size=PROMPTS))
    means = np.delete(joint.means(np.stack(columns, axis=1)), np.arange(1, 1 + PROMPTS), axis=0)
    kl, gold = np.moveaxis(means.reshape(-1, seeds, 4, 2), -1, 0)
    found = overoptimisation(kl, gold, gold, joint.seeds("m", seeds), prompts=PROMPTS)
    return _less(found.peak_kl, 4.0)


KINDS: dict[str, tuple[Kind, bool]] = {
    "checkpoint's mean (skewed, 40 prompts)": (checkpoint, False),
    "rate of 10 %, Wilson (60 prompts)": (rate, False),
    "paired difference of two checkpoints": (pair, False),
    "length-controlled win rate (200 questions)": (at_equal_length, False),
    "Bradley–Terry rating (100 questions)": (rating, False),
    "corpus metric of a checkpoint, jackknife": (jackknifed, False),
    **{f"method's mean, {name} dominate": (method(regime), True) for name, regime in REGIMES.items()},
    **{f"difference, {name} dominate": (difference(regime), True) for name, regime in REGIMES.items()},
    "difference at equal KL": (at_kl, True),
    "difference of areas under the frontier": (under, True),
    "corpus metric, Welch": (corpus, True),
    "interquartile mean over 3 tasks": (aggregate, True),
    "probability of improvement over 2 tasks": (improving, True),
    "probability of improvement at equal KL": (improving_at_kl, True),
    "KL at which gold peaks": (peak, True),
}


def coverage(kind: Kind, seeds: int, worlds: int, resamples: int) -> float:
    """The share of intervals that hold 0, among worlds that have one (few say that they can't be had)."""
    rng = np.random.default_rng([seeds, worlds, resamples])
    inside = []
    for _ in range(worlds):
        one = kind(rng, seeds, resamples)
        if one.low is not None:
            inside.append(one.low <= 0 and (one.high is None or one.high >= 0))
    return float(np.mean(inside))


def false_claims(seeds: int, methods: int, worlds: int, resamples: int) -> float:
    """The share of worlds of equal methods in which any primary claim is made at equal KL, after Holm."""
    rng = np.random.default_rng([1, seeds, methods])
    claims = 0
    for _ in range(worlds):
        drawn = frontiers(rng, seeds, resamples, methods, area=False)
        pairs = [(0, other) for other in range(1, methods)] + [(1, other) for other in range(2, methods)]
        adjusted = holm([drawn.contrast(*pair).p for pair in pairs])
        claims += any(p is not None and p <= 0.05 for p in adjusted)
    return claims / worlds


def _less(interval: Interval, truth: float) -> Interval:
    ends = {
        name: None if (value := getattr(interval, name)) is None else value - truth
        for name in ("point", "low", "high")
    }
    return interval.model_copy(update=ends)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=400)
    arguments = parser.parse_args()
    started_at = time.process_time()
    print(f"| interval | {' | '.join(f'{seeds} seeds' for seeds in SEEDS)} |")
    print("|---|---|---|---|")
    for name, (kind, by_seeds) in KINDS.items():
        counts = SEEDS if by_seeds else (1,)
        found = [f"{coverage(kind, n, arguments.worlds, arguments.resamples):.3f}" for n in counts]
        print(f"| {name} | {' | '.join(found if by_seeds else [*found, '', ''])} |", flush=True)
    claims = [
        f"{false_claims(seeds, 5, max(arguments.worlds // 2, 1), arguments.resamples):.3f}" for seeds in SEEDS
    ]
    print(f"| *any false primary claim, 5 equal methods* | {' | '.join(claims)} |")
    print(f"\n{arguments.worlds} worlds each; {time.process_time() - started_at:.0f} s of processor time.")


if __name__ == "__main__":
    main()
