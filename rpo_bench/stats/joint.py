"""The joint bootstrap: one draw of the prompts for everything that is compared, of the seeds for each method.

Whatever is a function of means over prompts (a mean, a reward at a KL budget, an area under a frontier, a
regret to the oracle) goes through the same steps. ``Joint.means`` gives the means on all data, with each
prompt weighing a little more, and on every resample; the function maps them to a number per training seed;
and ``contrast`` makes an interval and a p-value of a signed sum over methods. The slightly tilted means give
each prompt's influence, by which the variance is estimated as in a two-way layout (infinitesimal jackknife),
so that few seeds get an interval as wide as they deserve.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rpo_bench.stats.arrays import Bools, Floats
from rpo_bench.stats.bootstrap import RESAMPLES, weight_chunks
from rpo_bench.stats.contrast import Contrast, contrast_of
from rpo_bench.stats.interval import PROMPT_LEVELS, SEED_LEVELS, SOME_SEEDS, empty, point_only
from rpo_bench.stats.layout import contrast_spread

#: By how much a prompt's weight is raised to see its influence.
_TILT = 1e-5
#: Methods whose resampled seeds are kept.
_METHODS = 64

#: Numbers in a chunk of weights: 16 MiB of float64.
_CHUNK = 2**21


@dataclass(frozen=True)
class Joint:
    """The resamples of a comparison, the same whatever order they are asked for in.

    Attributes:
        seed: What all of them derive from.
        prompts: P.
        resamples: R.
    """

    seed: int
    prompts: int
    resamples: int = RESAMPLES

    def means(self, columns: Floats) -> Floats:
        """Means over the prompts: on all data, with each prompt tilted up, and on every resample.

        Args:
            columns: (P, C), NaN for unscored.

        Returns:
            (1 + P + R, C); NaN where a resample drew no prompt with a score.
        """
        scored = np.isfinite(columns)
        whole = bool(scored.all())
        values = np.where(scored, columns, 0.0)
        known = scored.astype(np.float64)
        after = 1 + self.prompts
        # Columns lie together: they are looked at one by one.
        found: Floats = np.empty((after + self.resamples, values.shape[1]), order="F")
        with np.errstate(invalid="ignore", divide="ignore"):
            total, count = values.sum(0), known.sum(0)
            share = self.prompts * _TILT / (1 - _TILT)
            found[0] = total / count
            found[1:after] = (total + share * values) / (count + share * known)
            for start, weights in self._weights():
                drawn = float(self.prompts) if whole else weights @ known
                found[after + start : after + start + len(weights)] = (weights @ values) / drawn
        return found

    def _weights(self) -> Iterator[tuple[int, Floats]]:
        """The weights of the resamples, (rows, P), a chunk after the other, each with its first row."""
        if self._counts.size <= _CHUNK:
            yield 0, self._as_floats
            return
        rows = max(1, _CHUNK // max(self.prompts, 1))
        for start in range(0, self.resamples, rows):
            yield start, self._counts[start : start + rows].astype(np.float64)

    @cached_property
    def _as_floats(self) -> Floats:
        return self._counts.astype(np.float64)

    @cached_property
    def _counts(self) -> NDArray[np.uint8]:
        """How often each prompt is drawn in each resample, (R, P)."""
        rng = np.random.default_rng([self.seed, self.prompts])
        chunks = weight_chunks(self.prompts, rng, self.resamples)
        return np.concatenate([np.minimum(chunk, 255).astype(np.uint8) for chunk in chunks])

    def seeds(self, label: str, count: int) -> Floats:
        """How much each of a method's training seeds weighs in every resample, (R, S); rows sum to 1."""
        key = (label, count)
        if key not in self._drawn_seeds:
            if len(self._drawn_seeds) >= _METHODS:
                self._drawn_seeds.clear()
            self._drawn_seeds[key] = self._draw_seeds(label, count)
        return self._drawn_seeds[key]

    @cached_property
    def _drawn_seeds(self) -> dict[tuple[str, int], Floats]:
        """What ``seeds`` gave last: the same methods are asked for again and again."""
        return {}

    def _draw_seeds(self, label: str, count: int) -> Floats:
        rng = np.random.default_rng([self.seed, count, *label.encode("utf-8", "surrogatepass")])
        return np.concatenate(list(weight_chunks(count, rng, self.resamples))) / count

    def contrast(self, terms: Sequence["Term"], level: float = 0.95) -> Contrast:
        """A signed sum of methods' means over their seeds, with its uncertainty.

        A method's single seed is taken as it is: the interval then covers the seeds of the other methods
        only, or prompts alone, and says so in its ``levels``. What a term may lie above its value widens the
        interval on that side, and the p-value is of the end that is nearest to 0.

        Args:
            terms: What is added up.
            level: Nominal coverage.
        """
        kept = [term.measured() for term in terms]
        prompts = self._prompts(kept)
        fewest = min(len(term.seeds) for term in kept)
        if fewest == 0 or prompts == 0:
            return Contrast(empty(level))
        point = float(sum(term.sign * term.values[0].mean() for term in kept))
        if not math.isfinite(point):
            return Contrast(empty(level))
        counts = [len(term.seeds) for term in kept]
        n = fewest if fewest > 1 else prompts
        if prompts == 1:
            return Contrast(point_only(point, n, level))
        spread = contrast_spread([self._influence(term) for term in kept], np.array([t.sign for t in kept]))
        draws = self._draws(kept)
        found = contrast_of(point, spread, draws, n, _levels(counts), level)
        above = sum(term.sign * term.slack for term in kept if term.sign > 0)
        below = sum(-term.sign * term.slack for term in kept if term.sign < 0)
        return found if above == below == 0 else found.widened(below, above)

    def _prompts(self, terms: Sequence["Term"]) -> int:
        """Prompts that move any of the terms."""
        moved = np.zeros(self.prompts, dtype=bool)
        for term in terms:
            moved |= term.scored
        return int(moved.sum())

    def _influence(self, term: "Term") -> Floats:
        """What every seed and prompt would contribute if the function were linear, (S, P)."""
        base = term.values[0]
        tilted = term.values[1 : 1 + self.prompts]
        moved = np.where(np.isfinite(tilted), tilted, base)
        return np.asarray((base + (moved - base) / _TILT).T)

    def _draws(self, terms: Sequence["Term"]) -> Floats:
        total = np.zeros(self.resamples)
        for term in terms:
            drawn = term.values[1 + self.prompts :]
            total += term.sign * np.einsum("rs,rs->r", drawn, self.seeds(term.label, drawn.shape[1]))
        return total


@dataclass(frozen=True)
class Term:
    """A method's part in a contrast.

    Attributes:
        label: Whose seeds they are: the same label has the same resampled seeds.
        sign: +1 or −1 (or any weight).
        values: A number per row of ``Joint.means`` and training seed, (1 + P + R, S).
        scored: The prompts that it rests on, (P,).
        slack: By how much the true number may lie above the values, as a straight line understates a concave
            frontier.
    """

    label: str
    sign: float
    values: Floats
    scored: Bools
    slack: float = 0.0

    @property
    def seeds(self) -> Floats:
        """The number of each seed on all data, (S,)."""
        return np.asarray(self.values[0])

    def negative(self) -> "Term":
        """The same, subtracted."""
        return replace(self, sign=-self.sign)

    def measured(self) -> "Term":
        """The same without the seeds that have no number."""
        known = np.isfinite(self.values[0])
        return self if known.all() else replace(self, values=self.values[:, known])


def _levels(counts: Sequence[int]) -> tuple[str, ...]:
    """The randomness that an interval covers when methods have so many seeds."""
    if max(counts) == 1:
        return PROMPT_LEVELS
    return SEED_LEVELS if min(counts) > 1 else SOME_SEEDS
