"""What the harness does to whom: batches × clipping × strengths, as gains over the reference at equal KL.

    python benchmarks/fairness.py [--out runs/fairness] [--points FILE] [--methods rpo,dro] [--seeds 0,1,2]

Reads the checkpoints that ``fairness_runs.py`` trained; with ``--out`` it trains the missing ones first. A
method's reward at a KL budget is read from straight lines through its strengths: three as version 0.1 ran
("coarse"), its own ladder ("dense"), or that with strengths placed near the budgets ("placed"). A second
table says what each change did to whom. Intervals are Student's over training seeds; differences are paired
by seed. docs/fairness.md has the tables.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from fairness_runs import BUDGETS, Point, own_ladder, parser, read_points, train_missing, training_flags

COARSE = 3  # strengths of version 0.1's ladder
Way = tuple[str, str, str]
#: What is changed, from one way (batches, clipping, strengths) to another.
CHANGES: dict[str, tuple[Way, Way]] = {
    "dense for coarse strengths": (("by_length", "absolute", "coarse"), ("by_length", "absolute", "dense")),
    "uniform batches": (("by_length", "absolute", "dense"), ("uniform", "absolute", "dense")),
    "relative clipping": (("uniform", "absolute", "dense"), ("uniform", "relative", "dense")),
    "no clipping for relative": (("uniform", "relative", "dense"), ("uniform", "none", "dense")),
    "placed for dense strengths": (("uniform", "relative", "dense"), ("uniform", "relative", "placed")),
    "all": (("by_length", "absolute", "coarse"), ("uniform", "relative", "placed")),
}


class OnFrontier(Protocol):
    """A checkpoint on its method's frontier."""

    @property
    def strength(self) -> float:
        """Of the method."""

    @property
    def seed(self) -> int:
        """Of the training."""

    @property
    def kl(self) -> float:
        """Nats per sequence; NaN where it diverged."""

    @property
    def gain(self) -> float:
        """Reward over the reference policy's."""


@dataclass(frozen=True)
class Gain:
    """A method's gain at a KL budget by one protocol.

    Attributes:
        by_seed: training seed → gain; NaN where the seed doesn't reach the budget.
    """

    model: str
    method: str
    way: Way
    budget: float
    by_seed: dict[int, float]


def coarse(name: str) -> tuple[float, ...]:
    """The ends of a method's own ladder and its middle, as version 0.1's presets took them."""
    from rpo_bench.engine.inputs.choices import spread

    return spread(own_ladder(name), COARSE)


def gains_by_seed(
    found: Iterable[OnFrontier], strengths: Sequence[float] | None, budget: float
) -> dict[int, float]:
    """Seed → the gain at a budget, by straight lines through some strengths; NaN beyond the last.

    Args:
        found: a method's checkpoints.
        strengths: those that are used; None: all.
        budget: nats.
    """
    from rpo_bench.stats.frontier import frontier_points, interpolate

    by_seed: dict[int, list[OnFrontier]] = {}
    for point in found:
        if not np.isnan(point.kl) and (strengths is None or np.isclose(point.strength, strengths).any()):
            by_seed.setdefault(point.seed, []).append(point)
    result = {}
    for seed, own in sorted(by_seed.items()):
        line = frontier_points(np.array([p.kl for p in own]), np.array([p.gain for p in own]), 0.0)
        result[seed] = float(interpolate(line, np.array([budget]))[0])
    return result


def gains_of(points: Sequence[Point]) -> list[Gain]:
    """The gains of all checkpoints, protocol after protocol; of ladders that are trained to the end alone."""
    groups: dict[tuple[str, str, str, str], list[Point]] = {}
    for point in points:
        groups.setdefault((point.model, point.method, point.batches, point.clipping), []).append(point)
    result = []
    for (model, method, batches, clipping), own in sorted(groups.items()):
        ladders: dict[str, Sequence[float] | None] = {"coarse": coarse(method), "dense": own_ladder(method)}
        if any(not np.isclose(point.strength, own_ladder(method)).any() for point in own):
            ladders["placed"] = None
        done = {(point.strength, point.seed) for point in own}
        whole = {
            name: strengths
            for name, strengths in ladders.items()
            if done.issuperset(itertools.product(strengths or own_ladder(method), {p.seed for p in own}))
        }
        for (name, strengths), budget in itertools.product(whole.items(), BUDGETS):
            values = gains_by_seed(own, strengths, budget)
            result.append(Gain(model, method, (batches, clipping, name), budget, values))
    return result


def interval(values: Sequence[float]) -> str:
    """Mean ± half the width of Student's 95 % interval over seeds."""
    from rpo_bench.stats.per_seed import mean_over_seeds

    if not len(values) or np.isnan(values).any():
        return "not reached"
    found = mean_over_seeds(np.array(values))
    if found.point is None or found.high is None:
        return _signed(float(np.mean(values)))
    return f"{_signed(found.point)} ± {found.high - found.point:.3f}"


def _signed(value: float) -> str:
    """Three decimals with a minus sign, and no sign at all before a zero."""
    return f"{round(value, 3) + 0.0:.3f}".replace("-", "−")


def gains_table(gains: Sequence[Gain], points: Sequence[Point]) -> Iterator[str]:
    """Every protocol's gains, as lines of Markdown for each base model."""
    for model in dict.fromkeys(one.model for one in gains):
        yield f"\n### {model}\n\n| method | batches | clipping | strengths | steps clipped | {_heads()} |"
        yield "|---" * (5 + len(BUDGETS)) + "|"
        mine = [one for one in gains if one.model == model]
        for (method, way), cells in itertools.groupby(mine, key=lambda one: (one.method, one.way)):
            texts = " | ".join(interval(list(one.by_seed.values())) for one in cells)
            share = f"{100 * clipped_share(points, model, method, way):.0f} %"
            yield f"| {method} | {' | '.join(way)} | {share} | {texts} |"


def clipped_share(points: Iterable[Point], model: str, method: str, way: Way) -> float:
    """The mean share of steps clipped, over the strengths that the gains are read from."""
    batches, clipping, strengths = way
    of = (model, method, batches, clipping)
    own = [p for p in points if (p.model, p.method, p.batches, p.clipping) == of]
    ladder = {"coarse": coarse, "dense": own_ladder}.get(strengths)
    if ladder is not None:
        own = [p for p in own if np.isclose(p.strength, ladder(method)).any()]
    return float(np.mean([p.clipped for p in own]))


def changes_table(gains: Sequence[Gain]) -> Iterator[str]:
    """What each change did to whom: differences of gains, paired by seed."""
    known = {(one.model, one.method, one.way, one.budget): one.by_seed for one in gains}
    methods = sorted({one.method for one in gains})
    for model in dict.fromkeys(one.model for one in gains):
        yield f"\n### What changed on {model}\n\n| change | method | {_heads()} |"
        yield "|---" * (2 + len(BUDGETS)) + "|"
        for (name, (before, after)), method in itertools.product(CHANGES.items(), methods):
            keys = [[(model, method, way, budget) for way in (before, after)] for budget in BUDGETS]
            if all(key in known for pair in keys for key in pair):
                pairs = [(known[old], known[new]) for old, new in keys]
                texts = [
                    interval([new[seed] - old[seed] for seed in old if seed in new]) for old, new in pairs
                ]
                yield f"| {name} | {method} | {' | '.join(texts)} |"


def _heads() -> str:
    return " | ".join(f"KL {budget:g}" for budget in BUDGETS)


def main() -> None:
    """Trains what is missing, if asked to, and prints the tables."""
    flags = parser(__doc__.splitlines()[0])
    training_flags(flags, required=False)
    options = flags.parse_args()
    if options.out is not None:
        train_missing(options)
    methods, models = options.methods.split(","), options.models.split(",")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    points = [
        point
        for point in read_points(options.points)
        if point.method in methods and point.model in models and point.seed in seeds
    ]
    gains = gains_of(points)
    print("\n".join([*changes_table(gains), *gains_table(gains, points)]))


if __name__ == "__main__":
    main()
