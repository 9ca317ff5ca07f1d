"""The sentence that names the best methods at equal KL."""

from dataclasses import dataclass

from rpo_bench.analysis.panels import Panel
from rpo_bench.analysis.protocol_notes import protocol_notes
from rpo_bench.analysis.ranking import Ranking, Standing
from rpo_bench.results.store import StoredRecord
from rpo_bench.stats.interval import negated
from rpo_bench.wording import counted, estimate, listed, number


@dataclass(frozen=True)
class Verdict:
    """A sentence about the leader, in three parts so that the leader's name can be highlighted.

    Attributes:
        decided: Whether the leader's lead over the next method is beyond chance.
        notes: Caveats, a sentence each.
    """

    before: str
    leader: str
    after: str
    decided: bool
    notes: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sentence."""
        return f"{self.before}{self.leader}{self.after}"


def verdict(panel: Panel, ranking: Ranking | None) -> Verdict:
    """The verdict on a panel at its KL budget."""
    if ranking is None:
        return Verdict(
            f"Nothing can be compared at equal KL: {_obstacle(panel)}.", "", "", False, protocol_notes(panel)
        )
    leader = ranking.leader
    others = _rivals(ranking)
    before = f"At {ranking.budget:g} nats of KL, "
    reward = f"{estimate(leader.reward)}{_over_reference(leader)}"
    if not others:
        alone = len(ranking.standings) == 1
        only = "the only method here" if alone else "the only baseline with several training seeds"
        after = f", {only}, earns a reward of {reward}."
        return Verdict(before, leader.label, after, False, _notes(panel, ranking))
    rival = next((one for one in others if not one.unplaced), others[0])
    equals = [one.label for one in others if not one.resolved and not one.unplaced]
    lead = f"{_difference(rival)} more than {rival.label}"
    if not equals:
        after = f" earns the most reward: {reward}, {lead}, the next."
        return Verdict(before, leader.label, after, True, _notes(panel, ranking))
    if min(leader.seeds, rival.seeds) == 1:
        after = (
            f" has the highest reward: {reward}, {lead}. With one training seed the intervals cover only "
            "the prompts: another seed may reverse the order."
        )
        return Verdict(before, leader.label, after, False, _notes(panel, ranking))
    all_of = "all " if 1 < len(others) == len(equals) else ""
    before += f"{all_of}{counted(len(equals) + 1, 'method')} tie for best: "
    after = f", {listed(equals)}. {leader.label} has {reward}, {lead}; the difference is within chance."
    return Verdict(before, leader.label, after, False, _notes(panel, ranking))


def _rivals(ranking: Ranking) -> list[Standing]:
    """The methods that the leader is compared with: the other ranked baselines, or all if none is ranked."""
    leader = ranking.leader
    ranked = [one for one in ranking.standings if (one.ranks is None) == (leader.ranks is None)]
    return [one for one in ranked if one is not leader and not one.added]


def _obstacle(panel: Panel) -> str:
    """Why there is no ranking."""
    if not panel.trained:
        return "only the untrained reference policy was measured"
    if panel.reference is None:
        return "the untrained reference policy wasn't measured"
    trained = [stored for series in panel.trained for row in series.rows for stored in row.stored]
    if not any(stored.record.metrics for stored in trained):
        return "no checkpoint has a KL and a reward for its samples"
    if not any(map(_rewarded, trained)):
        return "there is no reward to compare (rpo-bench score RESULTS --reward … --as reward adds one)"
    if not any(_rewarded(stored) for stored in panel.reference.stored):
        return "the untrained reference policy has no reward"
    kls = [
        metrics["kl"].interval.point for stored in panel.records if "kl" in (metrics := stored.record.metrics)
    ]
    if not any(kl is not None and kl > 0 for kl in kls):
        return "no checkpoint has a KL and a reward for its samples"
    return "most methods have barely moved from the reference policy"


def _rewarded(stored: StoredRecord) -> bool:
    found = stored.record.metrics.get("reward")
    return found is not None and found.interval.point is not None


def _over_reference(standing: Standing) -> str:
    if standing.gain.point is None:
        return ""
    low, high = standing.gain.low, standing.gain.high
    if low is not None and high is not None and low <= 0 <= high:
        return " (within chance of the reference policy)"
    side = "above" if standing.gain.point > 0 else "below"
    return f" ({number(abs(standing.gain.point))} {side} the reference policy)"


def _difference(standing: Standing) -> str:
    return estimate(standing.behind) if standing.behind else ""


def _notes(panel: Panel, ranking: Ranking) -> tuple[str, ...]:
    notes = [*protocol_notes(panel), *_added(ranking), *_single(ranking)]
    if few := _few_seeds(ranking):
        notes.append(f"Preliminary: {few}; a published result needs five.")
    short = [
        f"{one.label} (to {max(one.furthest, 0):.2g})"
        for one in ranking.standings
        if one.furthest is not None
    ]
    if short:
        notes.append(f"Don't reach that KL and are compared where they end: {listed(short)}.")
    unplaced = [one.label for one in ranking.standings if one.unplaced]
    if unplaced:
        names = listed(unplaced)
        notes.append(f"No strength near that KL, so the reward there isn't known closely: {names}.")
    lost = [f"{one.lost} of {one.label}" for one in ranking.standings if one.lost]
    if lost:
        notes.append(f"Diverged and not counted: {listed(lost)}.")
    return tuple(notes)


def _added(ranking: Ranking) -> list[str]:
    """The added methods that lead the baselines, each with its lead and whether that is within chance."""
    notes = []
    for one in ranking.standings:
        if not one.added or one.behind is None or one.behind.point is None or one.behind.point >= 0:
            continue
        lead = negated(one.behind)
        shown = lead.low is not None and lead.low > 0 and "training seeds" in lead.levels
        worth = "" if shown else "; the difference is within chance"
        notes.append(
            f"{one.label} was added to the baselines and earns {estimate(lead)} more than their best{worth}."
        )
    return notes


def _single(ranking: Ranking) -> list[str]:
    """The methods that aren't ranked, where others are."""
    single = [one for one in ranking.standings if one.ranks is None]
    if not single or len(single) == len(ranking.standings):
        return []
    names = listed([f"{one.label} ({number(one.reward.point)} here)" for one in single])
    return [f"Not ranked, with one training seed: {names}."]


def _few_seeds(ranking: Ranking) -> str:
    """Methods with fewer than five training seeds: ``3 training seeds``, or ``ppo (3 training seeds)``."""
    shown = [one for one in ranking.standings if one.ranks is not None] or ranking.standings
    few = [one for one in shown if one.seeds < 5]
    counts = {one.seeds for one in few}
    if len(few) == len(shown) and len(counts) == 1:
        return counted(few[0].seeds, "training seed")
    return listed([f"{one.label} ({counted(one.seeds, 'training seed')})" for one in few])
