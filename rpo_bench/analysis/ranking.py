"""The ranking at equal KL: every method's reward at one KL budget, and its difference to the leader."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpo_bench.analysis.cube import Cube, cube_of
from rpo_bench.analysis.field import Field, Rank, field_of, ranks_in
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.matched import at_kl, reference_term, seed_curves
from rpo_bench.analysis.panels import Panel
from rpo_bench.analysis.reach import Reach, reach, seeds_of
from rpo_bench.analysis.scores import PanelScores
from rpo_bench.stats.interval import Interval
from rpo_bench.stats.joint import Joint, Term

LEVEL = 0.95


@dataclass(frozen=True)
class Standing:
    """A method at the KL budget.

    Attributes:
        label: The series' label.
        reward: Its reward at the budget, over seeds and prompts.
        gain: The same less the reference policy's, on shared prompts.
        behind: The leader's reward less its own; None for the leader.
        seeds: Training seeds that count.
        ranks: The range of ranks consistent with all pairwise differences over training seeds, adjusted by
            Holm, as in ``rpo-bench compare``; None for one seed, which isn't ranked.
        of: How many are ranked with it.
        added: Whether it is none of the baselines, but ranked against them.
        lost: Checkpoints without a measurement, for they diverged.
        furthest: The KL of its furthest strength, in nats, where that is short of the budget.
        unplaced: Whether it is behind by the straight lines between its strengths, and within chance only by
            what these may hide: no strength of it is near the budget.
    """

    label: str
    reward: Interval
    gain: Interval
    behind: Interval | None
    seeds: int
    ranks: tuple[int, int] | None
    of: int
    added: bool
    lost: int
    furthest: float | None
    unplaced: bool = False

    @property
    def resolved(self) -> bool:
        """Whether the leader is ahead beyond chance: the interval over training seeds is above zero."""
        return self.behind is not None and _is_lead(self.behind)

    @property
    def best(self) -> bool:
        """Whether it ties for best: ranked, near the budget, and within chance of the leader."""
        return self.ranks is not None and not self.resolved and not self.unplaced


@dataclass(frozen=True)
class Ranking:
    """The methods of a panel at one KL budget, best first; those with one seed last.

    Attributes:
        budget: In nats.
        reference: The untrained policy's reward.
    """

    budget: float
    standings: tuple[Standing, ...]
    reference: Interval

    @property
    def leader(self) -> Standing:
        """The best of the baselines."""
        return next(one for one in self.standings if one.behind is None)

    def ahead(self, label: str) -> int:
        """How many baselines are ahead of a method; added methods don't affect the place of others."""
        at = next(i for i, one in enumerate(self.standings) if one.label == label)
        return sum(not one.added for one in self.standings[:at])


def rank(
    panel: Panel, scores: PanelScores, cap: float | None = None, cube: Cube | None = None
) -> Ranking | None:
    """Ranks a panel's methods by their reward at one KL budget; None where nothing can be ranked.

    The budget is the KL that at least half of the baselines (and two, if there are two) reach, so rewards
    don't affect it; there is none while fewer than that have measurably left the reference policy. Other
    methods are ranked against the baselines, and methods with one seed aren't ranked: neither affects others.
    A method is followed from the reference policy through its strengths in the order of their KL, in
    straight lines: mixing two policies gives at least the reward on the line between them, for at most
    its KL. One that ends before the budget stays where it ends: what it earns there is within the budget.

    Args:
        panel: Whose methods.
        scores: Of its checkpoints.
        cap: The end of the oracle, which the budget doesn't pass; None: there is none.
        cube: The scores with their resamples, where they have been made already.
    """
    cube = cube_of(panel, scores, ("kl", "reward")) if cube is None else cube
    start = panel.reference.stored[0].record.cell if panel.reference is not None else ""
    items = [Item(series.label, series.label, series.rows) for series in panel.trained]
    items = [item for item in items if seed_curves(item, cube, "reward")]
    if not items or not cube.has(start, "reward"):
        return None
    field = field_of(items, seeds_of(items, cube))
    far = reach(items, cube, LEVEL, cap, field.baselines)
    if far.budget == 0:
        return None
    placed = in_order(items, cube, start, far.budget, field, LEVEL)
    leader = next(one for one in placed if one.item.label in field.baselines)
    reference = reference_term(cube, start)
    standings = tuple(
        _standing(one, leader, one.item.label in field.added, reference, far, cube.joint) for one in placed
    )
    return Ranking(far.budget, standings, cube.joint.contrast([reference]).interval)


@dataclass(frozen=True)
class Placed:
    """A method at a KL budget, in its place among others.

    Attributes:
        term: Its reward there, by the seeds that have one.
        reward: The same over seeds and prompts.
        rank: None: it isn't ranked, for it has one seed.
    """

    item: Item
    term: Term
    reward: Interval
    rank: Rank | None

    @property
    def seeds(self) -> int:
        """Training seeds that count."""
        return len(self.term.seeds)

    @property
    def ranks(self) -> tuple[int, int] | None:
        """The best and the worst rank that it may have."""
        return None if self.rank is None else (self.rank.best, self.rank.worst)


def in_order(
    items: Sequence[Item], cube: Cube, reference: str, budget: float, field: Field, level: float
) -> list[Placed]:
    """Methods at a KL budget, best first; those with one seed, which aren't ranked, last.

    Args:
        items: Methods.
        cube: Their KL and reward, and the reference policy's.
        reference: The untrained policy's cell.
        budget: In nats.
        field: Who is ranked among whom.
        level: Of the intervals; the chance that no rank of a family is wrong.
    """
    terms = {item.label: at_kl(item, reference, cube, "reward", budget).term.measured() for item in items}
    ranks = ranks_in(field, terms, cube.joint, level)
    found = [
        Placed(item, term, cube.joint.contrast([term], level).interval, ranks[item.label])
        for item, term in zip(items, terms.values(), strict=True)
    ]
    return sorted(found, key=_place)


def _place(one: Placed) -> tuple[bool, float, str]:
    reward = one.reward.point
    return one.rank is None, math.inf if reward is None else -reward, one.item.label


def _standing(
    one: Placed, leader: Placed, added: bool, reference: Term, far: Reach, joint: Joint
) -> Standing:
    behind, unplaced = None, False
    if one is not leader:
        behind = joint.contrast([leader.term, one.term.negative()]).interval
        unplaced = not _is_lead(behind) and _is_behind_by_lines(one.term, leader.term, joint)
    furthest = far.points[one.item.label]
    return Standing(
        label=one.item.label,
        reward=one.reward,
        gain=joint.contrast([one.term, reference.negative()]).interval,
        behind=behind,
        seeds=one.seeds,
        ranks=one.ranks,
        of=0 if one.rank is None else one.rank.of,
        added=added,
        lost=one.item.lost,
        furthest=furthest if furthest < far.budget else None,
        unplaced=unplaced,
    )


def _is_behind_by_lines(term: Term, leader: Term, joint: Joint) -> bool:
    """Whether a method is behind if straight lines hide nothing; False where they hide nothing anyway."""
    if not (term.slack or leader.slack):
        return False
    lines = [replace(leader, slack=0.0), replace(term, slack=0.0).negative()]
    return _is_lead(joint.contrast(lines).interval)


def _is_lead(difference: Interval) -> bool:
    """Whether a difference is above 0 beyond chance, over training seeds."""
    return difference.low is not None and difference.low > 0 and "training seeds" in difference.levels
