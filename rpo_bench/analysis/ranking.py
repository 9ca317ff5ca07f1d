"""The ranking at equal KL: every method's reward at one KL budget, and its difference to the leader."""

from dataclasses import dataclass

from rpo_bench.analysis.cube import Cube, cube_of
from rpo_bench.analysis.field import Rank, field_of, ranks_in
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.matched import at_kl, seed_curves
from rpo_bench.analysis.panels import Panel
from rpo_bench.analysis.reach import Reach, reach, reference_term, seeds_of
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

    @property
    def resolved(self) -> bool:
        """Whether the leader is ahead beyond chance: the interval over training seeds is above zero."""
        if self.behind is None or self.behind.low is None:
            return False
        return self.behind.low > 0 and "training seeds" in self.behind.levels

    @property
    def best(self) -> bool:
        """Whether it ties for best: ranked, and its difference to the leader is within chance."""
        return self.ranks is not None and not self.resolved


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
    terms = {item.label: at_kl(item, start, cube, "reward", far.budget).term.measured() for item in items}
    ranks = ranks_in(field, terms, cube.joint, LEVEL)
    lines = [_Line(item, terms[item.label], ranks[item.label]) for item in items]
    lines.sort(key=lambda line: (line.ranks is None, -line.reward, line.item.label))
    leader = next(line for line in lines if line.item.label in field.baselines)
    reference = reference_term(cube, start)
    standings = tuple(
        _standing(line, leader, line.item.label in field.added, reference, far, cube.joint) for line in lines
    )
    return Ranking(far.budget, standings, cube.joint.contrast([reference]).interval)


@dataclass(frozen=True)
class _Line:
    """A method with its reward at the budget."""

    item: Item
    term: Term
    ranks: Rank | None

    @property
    def reward(self) -> float:
        """On all data."""
        return float(self.term.seeds.mean())


def _standing(line: _Line, leader: _Line, added: bool, reference: Term, far: Reach, joint: Joint) -> Standing:
    behind = None
    if line is not leader:
        behind = joint.contrast([leader.term, line.term.negative()]).interval
    furthest = far.points[line.item.label]
    return Standing(
        label=line.item.label,
        reward=joint.contrast([line.term]).interval,
        gain=joint.contrast([line.term, reference.negative()]).interval,
        behind=behind,
        seeds=len(line.term.seeds),
        ranks=None if line.ranks is None else (line.ranks.best, line.ranks.worst),
        of=0 if line.ranks is None else line.ranks.of,
        added=added,
        lost=line.item.lost,
        furthest=furthest if furthest < far.budget else None,
    )
