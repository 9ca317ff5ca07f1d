"""The roles of methods: which set the KL budget, which are ranked, and which are only shown.

The baselines set the budget and are ranked among each other. Added methods are ranked against them and affect
neither the budget nor any other rank. Methods with a single training seed aren't ranked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from rpo_bench.analysis.items import Item
from rpo_bench.analysis.panels import SEVERAL
from rpo_bench.stats.joint import Joint, Term
from rpo_bench.stats.multiplicity import holm
from rpo_bench.stats.ranks import rank_intervals

#: Training seeds from which a method is publishable, and from which it carries a headline.
PUBLISHED, HEADLINE = 5, 10


@dataclass(frozen=True)
class Field:
    """The methods of a comparison by role, by label.

    Attributes:
        baselines: The project's own methods with five seeds or more, where there are two such; else those of
            the project with several, else whatever has several, else all.
        added: The others with several seeds.
        single: Those with one seed.
    """

    baselines: tuple[str, ...]
    added: tuple[str, ...]
    single: tuple[str, ...]


@dataclass(frozen=True)
class Rank:
    """The best and the worst rank that a method may have, of how many."""

    best: int
    worst: int
    of: int


def field_of(items: Sequence[Item], seeds: Mapping[str, int]) -> Field:
    """Sorts methods into baselines and others.

    Args:
        items: Trained methods with their strengths.
        seeds: Item label → training seeds that were measured.
    """
    several = [item for item in items if seeds[item.label] >= SEVERAL]
    ours = [item for item in several if item.ours]
    published = [item for item in ours if _trained(item) >= PUBLISHED]
    baselines = published if len(published) >= 2 else ours or several or list(items)
    kept = {item.label for item in baselines}
    return Field(
        baselines=tuple(item.label for item in baselines),
        added=tuple(item.label for item in several if item.label not in kept),
        single=tuple(item.label for item in items if item not in several),
    )


def badge_of(seeds: int) -> Literal["preliminary", "published", "headline"]:
    """What a number of training seeds allows to claim."""
    return "preliminary" if seeds < PUBLISHED else "published" if seeds < HEADLINE else "headline"


def _trained(item: Item) -> int:
    """Seeds of its most often trained strength, those that diverged among them."""
    return max(len(row.stored) for row in item.rows)


def ranks_in(field: Field, terms: Mapping[str, Term], joint: Joint, level: float) -> dict[str, Rank | None]:
    """The ranges of ranks that paired differences over training seeds allow; None for a single seed.

    The baselines' ranks hold simultaneously: all their pairs are adjusted by Holm. An added method's rank
    holds by itself: its differences from the baselines are adjusted among themselves.

    Args:
        field: The roles of the methods.
        terms: Label → its reward, by seed.
        joint: The resamples that all share.
        level: The chance that no rank of a family is wrong.
    """
    found: dict[str, Rank | None] = dict.fromkeys(terms)
    baselines = [label for label in field.baselines if label not in field.single]
    pairs = list(combinations(range(len(baselines)), 2))
    of = [terms[label] for label in baselines]
    found |= zip(baselines, _ranks(of, pairs, joint, level), strict=True)
    for label in field.added:
        against = [(i, len(of)) for i in range(len(of))]
        found[label] = _ranks([*of, terms[label]], against, joint, level)[-1]
    return found


def _ranks(terms: Sequence[Term], pairs: Sequence[tuple[int, int]], joint: Joint, level: float) -> list[Rank]:
    """Ranks by the given pairs' differences; only those that cover training seeds count."""
    gaps = [joint.contrast([terms[i], terms[j].negative()], level) for i, j in pairs]
    raw = [gap.p if "training seeds" in gap.interval.levels else None for gap in gaps]
    table = np.full((len(terms), len(terms)), np.nan)
    for (i, j), p in zip(pairs, holm(raw), strict=True):
        table[i, j] = table[j, i] = np.nan if p is None else p
    points = np.array([term.seeds.mean() if len(term.seeds) else np.nan for term in terms])
    return [Rank(*ends, of=len(terms)) for ends in rank_intervals(table, points, alpha=1 - level)]
