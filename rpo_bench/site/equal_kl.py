"""Who wins at equal KL: every method's reward at one KL budget, and what the leader's lead is worth."""

from dataclasses import dataclass

from rpo_bench.compare.cube import Cube, cube_of
from rpo_bench.compare.frontiers import Reach, ranks_of, reach, reference_term
from rpo_bench.compare.items import Item
from rpo_bench.compare.matched import at_kl, seed_curves
from rpo_bench.compare.panels import Panel
from rpo_bench.compare.scores import PanelScores
from rpo_bench.results.schema import Interval
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
        ranks: The best and the worst rank that it may have, by all pairwise differences over training seeds,
            adjusted by Holm: those that ``rpo-bench compare`` tells.
        lost: Checkpoints without a measurement, for they diverged.
        furthest: The KL of its furthest strength, in nats, where that is short of the budget.
    """

    label: str
    reward: Interval
    gain: Interval
    behind: Interval | None
    seeds: int
    ranks: tuple[int, int]
    lost: int
    furthest: float | None

    @property
    def resolved(self) -> bool:
        """Whether the leader is shown to be ahead: the difference, over training seeds, lies above zero."""
        if self.behind is None or self.behind.low is None:
            return False
        return self.behind.low > 0 and "training seeds" in self.behind.levels


@dataclass(frozen=True)
class Ranking:
    """The methods of a panel at one KL budget, best first.

    Attributes:
        budget: In nats.
        reference: The untrained policy's reward.
    """

    budget: float
    standings: tuple[Standing, ...]
    reference: Interval


def rank(
    panel: Panel, scores: PanelScores, cap: float | None = None, cube: Cube | None = None
) -> Ranking | None:
    """Ranks a panel's methods by their reward at one KL budget; None where nothing can be ranked.

    The budget is the KL that at least half of the methods (and two, if there are two) reach, which no
    reward has a say in; there is none while fewer than that have measurably left the reference policy.
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
    far = reach(items, cube, LEVEL, cap)
    if far.budget == 0:
        return None
    lines = [_Line(item, at_kl(item, start, cube, "reward", far.budget).term) for item in items]
    lines.sort(key=lambda line: (-line.reward, line.item.label))
    reference = reference_term(cube, start)
    ranks = ranks_of([line.term.measured() for line in lines], cube.joint, LEVEL, over_seeds=True)
    standings = tuple(
        _standing(line, lines[0], of, reference, far, cube.joint)
        for line, of in zip(lines, ranks, strict=True)
    )
    return Ranking(far.budget, standings, cube.joint.contrast([reference]).interval)


@dataclass(frozen=True)
class _Line:
    """A method with its reward at the budget."""

    item: Item
    term: Term

    @property
    def reward(self) -> float:
        """On all data."""
        return float(self.term.seeds.mean())


def _standing(
    line: _Line, leader: _Line, ranks: tuple[int, int], reference: Term, far: Reach, joint: Joint
) -> Standing:
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
        ranks=ranks,
        lost=line.item.lost,
        furthest=furthest if furthest < far.budget else None,
    )
