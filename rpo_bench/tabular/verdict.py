"""Summarises the results of all conditions in one sentence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rpo_bench.tabular.truth import LOUD, Condition, Truth
from rpo_bench.tabular.yardsticks import SAME

Kind = Literal["consistent", "in_the_limit", "at_some_k", "not_consistent", "undecided", "no_claim"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on a method.

    Attributes:
        kind: its category, for programs.
        text: its sentence, for people.
    """

    kind: Kind
    text: str


def verdict_of(truths: Sequence[Truth]) -> Verdict:
    """The verdict on one kind of data, over all strengths and K.

    Args:
        truths: of all conditions with these data.
    """
    ks = sorted({truth.condition.k for truth in truths})
    by_k = {k: [truth for truth in truths if truth.condition.k == k] for k in ks}
    last = by_k[ks[-1]]
    if all(truth.claim is None for truth in truths):
        return Verdict("no_claim", f"claims no optimum: {_end(last[-1])}")
    reached = [k for k in ks if all(truth.reached for truth in by_k[k])]
    if reached == ks:
        return Verdict("consistent", f"consistent: {truths[0].claim}{_from(ks[0])}")
    if ks[-1] in reached:
        before = ", ".join(_bias(by_k[k]) for k in ks if k not in reached)
        return Verdict("in_the_limit", f"consistent as K → ∞: {truths[0].claim}; {before}")
    loud = [truth for truth in truths if not truth.reached and truth.noise > LOUD and truth.at_rest]
    if loud and not any(_wrong(truth) for truth in truths):
        return Verdict("undecided", f"undecided: noise of {max(t.noise for t in loud):.2g} nats")
    worst = max(last, key=lambda truth: truth.kl or 0.0)
    if reached:
        at = ", ".join(map(str, reached))
        return Verdict("at_some_k", f"consistent only at K = {at}; at {_k(worst.condition)} {_end(worst)}")
    return Verdict("not_consistent", f"not consistent: {_end(worst)}")


def _wrong(truth: Truth) -> bool:
    """Whether the result is off by more than noise explains."""
    return truth.noise <= LOUD and not truth.reached


def _from(k: int) -> str:
    return "" if k == 1 else f", from K = {k}"


def _bias(truths: Sequence[Truth]) -> str:
    worst = max(truths, key=lambda truth: truth.kl or 0.0)
    return f"KL {worst.kl:.2g} at K = {worst.condition.k}"


def _k(condition: Condition) -> str:
    return "K → ∞" if condition.limit else f"K = {condition.k}"


def _end(truth: Truth) -> str:
    """The final policy, in words."""
    nearest, near = truth.nearest, truth.nearest.distance <= SAME
    strength = f" at strength {truth.condition.strength:g}"
    if math.isnan(truth.drift):
        return f"the loss stops being finite{strength}"
    if not truth.at_rest:
        return f"it doesn't converge, moving towards {nearest.name}{strength}"
    if near:
        return f"it converges to {nearest.name}{strength}"
    away = "" if truth.kl is None else f"KL {truth.kl:.2g} from its claim, "
    return f"it converges to a policy {away}nearest {nearest.name} (off by {nearest.distance:.2g}){strength}"
