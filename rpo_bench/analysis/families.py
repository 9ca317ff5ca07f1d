"""The comparisons to make, the declared ones among them, and their adjustment."""

from collections.abc import Sequence
from dataclasses import dataclass

from rpo_bench.analysis.direction import way
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.report import Comparison, Verdict
from rpo_bench.stats.multiplicity import benjamini_hochberg, holm

#: The metric of the declared family.
PRIMARY = "reward"


@dataclass(frozen=True)
class Family:
    """Ordered pairs to compare, first − second, and their description."""

    pairs: tuple[tuple[Item, Item], ...]
    words: str


def family(items: Sequence[Item], focus: Item | None) -> Family:
    """The declared pairs: the focus against each other; without one, each against SFT and RPO against each.

    Without SFT and RPO among them, all pairs.
    """
    if focus is not None:
        return Family(
            tuple((focus, other) for other in items if other is not focus),
            f"{focus.label} against each other",
        )
    trained = [item for item in items if item.trained]
    sft = next((item for item in trained if item.label == "sft"), None)
    rpo = next((item for item in trained if item.label == "rpo"), None)
    pairs = [(item, sft) for item in trained if sft is not None and item is not sft]
    if rpo is not None:
        pairs += [(rpo, item) for item in trained if item is not rpo and item is not sft]
    if pairs:
        said = [
            *(["each method against sft"] if sft else []),
            *(["rpo against each"] if rpo and len(trained) > (2 if sft else 1) else []),
        ]
        return Family(tuple(pairs), " and ".join(said))
    everything = [(a, b) for i, a in enumerate(items) for b in items[i + 1 :]]
    return Family(tuple(everything), "all pairs")


def adjusted(comparisons: Sequence[Comparison], level: float) -> list[Comparison]:
    """The comparisons with adjusted p-values and verdicts.

    Primary ones, by their flag, are adjusted by Holm among themselves; all others by Benjamini and Hochberg.

    Args:
        comparisons: With raw p-values.
        level: A verdict needs an adjusted p of at most 1 − level.
    """
    primary = iter(holm([one.p for one in comparisons if one.primary]))
    others = iter(benjamini_hochberg([one.p for one in comparisons if not one.primary]))
    found = []
    for one in comparisons:
        p = next(primary if one.primary else others)
        found.append(one.model_copy(update={"adjusted_p": p, "verdict": verdict(one, p, level)}))
    return found


def verdict(comparison: Comparison, p: float | None, level: float) -> Verdict:
    """The verdict on first − second."""
    point = comparison.difference.point
    if point is None or p is None:
        return "undetermined"
    if comparison.difference.low is None:
        return "identical" if comparison.p == 1.0 else "undetermined"
    if p > 1 - level + 1e-12:
        return "within chance"
    return way(point, comparison.higher_is_better)
