"""A pair of items on one metric: the difference and its verdict, before it is adjusted for the others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rpo_bench.analysis.cube import Cube
from rpo_bench.analysis.direction import towards_better
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.matched import Side, at_kl, at_strength
from rpo_bench.analysis.panels import Row
from rpo_bench.analysis.report import Comparison, Matching
from rpo_bench.results.schema import MetricValue
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.contrast import Contrast
from rpo_bench.stats.interval import PROMPT_LEVELS, SEED_LEVELS, Interval, empty
from rpo_bench.stats.per_seed import mean_of_checkpoints, mean_over_seeds, welch_difference

#: Scores nearer than this are a tie.
TIE = 1e-9

_SMALL = 0.1  # of the standard error


@dataclass(frozen=True)
class Match:
    """Where a pair is compared.

    Attributes:
        kind: At a KL budget, at a strength, or each as given.
        at: The budget or the strength.
        first: The first one's row; None at a KL budget.
        second: The second one's.
    """

    kind: Matching
    at: float | None
    first: Row | None = None
    second: Row | None = None


@dataclass(frozen=True)
class Compared:
    """A comparison with what it rests on, prompt by prompt."""

    comparison: Comparison
    first: Floats  # (P,)
    second: Floats  # (P,)


def matches(first: Item, second: Item) -> list[Match]:
    """The strengths at which two items can be compared; two single ones are compared as given."""
    if len(first.rows) == len(second.rows) == 1:
        a, b = first.rows[0], second.rows[0]
        kind: Matching = "strength" if a.strength == b.strength and a.strength is not None else "given"
        return [Match(kind, a.strength if kind == "strength" else None, a, b)]
    shared = [(row, second.row(row.strength)) for row in first.rows if row.strength is not None]
    return [Match("strength", row.strength, row, other) for row, other in shared if other is not None]


def compare_pair(
    first: Item, second: Item, metric: str, match: Match, cube: Cube, reference: str | None, level: float
) -> Compared | None:
    """Two items on a metric; None where one of them lacks it (or, at a KL, has no score per prompt).

    Args:
        first: Compared with ``second``: first − second.
        second: The other.
        metric: Its name in the record.
        match: Where.
        cube: Scores.
        reference: The untrained policy's cell; needed at a KL.
        level: Nominal coverage.
    """
    known = _metric(first, metric), _metric(second, metric)
    if known[0] is None or known[1] is None:
        return None
    if known[0].backend != known[1].backend:
        return None
    value: MetricValue = known[0].model_copy(update={"higher_is_better": _direction(known[0], known[1])})
    sides = _sides(first, second, metric, match, cube, reference)
    if sides is None:
        return _of_corpus(first, second, metric, value, match, level)
    a, b = sides
    contrast = cube.joint.contrast([a.term, b.term.negative()], level)
    gap = a.by_prompt - b.by_prompt
    known_gap = gap[np.isfinite(gap)]
    ahead = towards_better(value.higher_is_better) * known_gap
    comparison = _comparison(first, second, metric, value, match).model_copy(
        update={
            "first_value": cube.joint.contrast([a.term], level).interval,
            "second_value": cube.joint.contrast([b.term], level).interval,
            "difference": contrast.interval,
            "p": contrast.p,
            "detectable": contrast.detectable,
            "wins": int((ahead > TIE).sum()),
            "ties": int((np.abs(ahead) <= TIE).sum()),
            "losses": int((ahead < -TIE).sum()),
            "notes": _notes((first, a), (second, b), contrast, len(known_gap)),
        }
    )
    return Compared(comparison, a.by_prompt, b.by_prompt)


def _sides(
    first: Item, second: Item, metric: str, match: Match, cube: Cube, reference: str | None
) -> tuple[Side, Side] | None:
    """Both sides on the prompts that both have a score for; None without scores per prompt."""
    cells = [stored.record.cell for item in (first, second) for row in item.rows for stored in row.stored]
    if not any(cube.has(cell, metric) for cell in cells):
        return None
    if match.kind == "kl":
        if reference is None or not (cube.has(reference, metric) and cube.has(reference, "kl")):
            return None
        cells.append(reference)
    sides = _both(first, second, metric, match, cube, reference)
    shared = np.isfinite(sides[0].by_prompt) & np.isfinite(sides[1].by_prompt)
    if shared.all():
        return sides
    return _both(first, second, metric, match, cube.only(cells, {metric, "kl"}, shared), reference)


def _both(
    first: Item, second: Item, metric: str, match: Match, cube: Cube, reference: str | None
) -> tuple[Side, Side]:
    if match.kind == "kl" and match.at is not None and reference is not None:
        return (
            at_kl(first, reference, cube, metric, match.at),
            at_kl(second, reference, cube, metric, match.at),
        )
    if match.first is None or match.second is None:
        raise ValueError("a comparison at a strength needs two rows")
    return at_strength(first, match.first, cube, metric), at_strength(second, match.second, cube, metric)


def _metric(item: Item, metric: str) -> MetricValue | None:
    return next(
        (
            stored.record.metrics[metric]
            for row in item.rows
            for stored in row.stored
            if metric in stored.record.metrics
        ),
        None,
    )


def _direction(first: MetricValue, second: MetricValue) -> bool | None:
    """Which way the metric is better, by whichever record says it; None where they disagree."""
    directions = {one.higher_is_better for one in (first, second)} - {None}
    return directions.pop() if len(directions) == 1 else None


def _of_corpus(
    first: Item, second: Item, metric: str, value: MetricValue, match: Match, level: float
) -> Compared | None:
    """A metric of all samples together: one number per seed, compared by Welch's t."""
    if match.first is None or match.second is None:
        return None
    a, b = (_points(row, metric) for row in (match.first, match.second))
    contrast = welch_difference(a, b, level=level)
    notes = ("one number per training seed: the interval covers only seeds",)
    comparison = _comparison(first, second, metric, value, match).model_copy(
        update={
            "first_value": _own(match.first, metric, a, level),
            "second_value": _own(match.second, metric, b, level),
            "difference": contrast.interval,
            "p": contrast.p,
            "detectable": contrast.detectable,
            "notes": notes if contrast.interval.low is not None else ("needs two training seeds of each",),
        }
    )
    return Compared(comparison, np.empty(0), np.empty(0))


def _points(row: Row, metric: str) -> Floats:
    values = [s.record.metrics[metric].interval.point for s in row.stored if metric in s.record.metrics]
    return np.array([value for value in values if value is not None])


def _own(row: Row, metric: str, points: Floats, level: float) -> Interval:
    """One checkpoint keeps the interval of its record; at another level than theirs, seeds alone count."""
    own = [s.record.metrics[metric].interval for s in row.stored if metric in s.record.metrics]
    alike = len(points) == 1 or all(one.level == level for one in own)
    return mean_of_checkpoints(own, level=level) if alike else mean_over_seeds(points, level=level)


def _comparison(first: Item, second: Item, metric: str, value: MetricValue, match: Match) -> Comparison:
    return Comparison(
        first=first.label,
        second=second.label,
        metric=metric,
        unit=value.unit,
        higher_is_better=value.higher_is_better,
        matched=match.kind,
        at=match.at,
        first_value=empty(),
        second_value=empty(),
        difference=empty(),
        p=None,
        adjusted_p=None,
        primary=False,
        detectable=None,
        verdict="undetermined",
    )


def _notes(
    first: tuple[Item, Side], second: tuple[Item, Side], contrast: Contrast, prompts: int
) -> tuple[str, ...]:
    notes = [
        f"{item.label} ends before this KL and is held where it ends"
        for item, side in (first, second)
        if side.held
    ]
    notes += [line for item, side in (first, second) for line in _understated(item, side, contrast)]
    interval = contrast.interval
    if interval.point is None:
        notes.append("no prompt has a score of both")
    elif interval.low is None:
        notes.append(_without_interval(prompts, contrast.p))
    elif SEED_LEVELS[0] not in interval.levels:
        notes += _of_single_seeds((first, second), interval)
    return tuple(notes)


def _understated(item: Item, side: Side, contrast: Contrast) -> list[str]:
    """A note on the bias of linear interpolation, if it isn't small relative to the standard error."""
    if contrast.error is None or side.slack <= _SMALL * contrast.error:
        return []
    return [f"straight lines may understate {item.label} by {side.slack:.2g}, which the interval includes"]


def _of_single_seeds(sides: Sequence[tuple[Item, Side]], interval: Interval) -> list[str]:
    """A note on variation that an interval doesn't cover; a reference policy has no training seeds."""
    if interval.levels == PROMPT_LEVELS:
        return ["one training seed: the interval covers only prompts"]
    alone = [item.label for item, side in sides if item.trained and len(side.term.measured().seeds) == 1]
    return [f"{label} has one training seed: the interval doesn't cover its variation" for label in alone]


def _without_interval(prompts: int, p: float | None) -> str:
    if p == 1.0:
        return "the scores are identical"
    if prompts == 1:
        return "one prompt: there is no interval"
    return "the difference is the same everywhere: there is no interval"
