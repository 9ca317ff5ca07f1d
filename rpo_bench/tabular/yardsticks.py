"""Describes a tabular policy: its regret to the best one, and the nearest known policy."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from rpo_bench.stats.arrays import Floats
from rpo_bench.tabular.claims import Claim, Setting
from rpo_bench.tabular.world import (
    World,
    best_of,
    best_response,
    expectation,
    kl,
    normalised,
    tilted,
    total_variation,
)

#: Total variation within which a policy is identified with a known one.
SAME = 1e-2
_LOG_TAU = (-6.0, 9.0)  # search range of an optimum: from greedy to indistinguishable from π_ref


@dataclass(frozen=True)
class Resemblance:
    """A known policy and its distance in total variation."""

    name: str
    distance: float


def regret_at_equal_kl(world: World, logps: Floats) -> float:
    """How much more reward the best policy of the same KL to π_ref has, in the problem's units.

    The best policy of a given mean KL is π_ref e^{r/τ}, with one τ for all prompts. Beyond the KL of always
    giving the best response the reward can't increase.
    """
    budget, reference = kl(logps, world.log_reference), world.log_reference

    def excess(log_tau: float) -> float:
        return kl(tilted(reference, world.rewards, float(np.exp(log_tau))), reference) - budget

    low, high = _LOG_TAU
    if excess(low) <= 0.0:
        best = best_response(world.rewards)
    elif excess(high) >= 0.0:
        best = reference
    else:
        best = tilted(reference, world.rewards, float(np.exp(brentq(excess, low, high))))
    return expectation(best, world.rewards) - expectation(logps, world.rewards)


def objective(claim: Claim, world: World, logps: Floats) -> float | None:
    """The objective J = E R − τ KL(π‖π_ref) of a claim, or None if it has no such objective."""
    if claim.rewards is None or claim.tau is None:
        return None
    return expectation(logps, claim.rewards) - claim.tau * kl(logps, world.log_reference)


def resembles(setting: Setting, claim: Claim | None, logps: Floats, strength: float) -> Resemblance:
    """The nearest of the policies that objectives are known to converge to.

    Args:
        setting: the problem and its data.
        claim: the method's claim.
        logps: the policy; (X, Y).
        strength: for the data's own policy tilted by e^{r/τ}.
    """
    world, rewards = setting.world, setting.rewards
    fitted = _nearest_tau(world, rewards, logps)
    writer = world.log_behaviour if setting.sampling.off_policy else world.log_reference
    known = {} if claim is None else {claim.text: claim.logps}
    known |= {
        "π_ref": world.log_reference,
        "always the best response": best_response(world.rewards),
        f"best of {setting.sampling.k} logged responses": best_of(setting.sampling.k, writer, world.rewards),
        f"π_ref·e^(r/{fitted:.3g})": tilted(world.log_reference, rewards, fitted),
        "the uniform policy": np.full_like(logps, -np.log(logps.shape[1])),
    }
    if setting.sampling.k > 1:  # a group's mean holds the response itself: advantages shrink by (K − 1)/K
        beta = strength * setting.sampling.k / (setting.sampling.k - 1)
        known["β·π_ref/(λ − r)"] = forward_optimum(world.log_reference, rewards, beta)
    good = np.where(rewards > (np.exp(writer) * rewards).sum(axis=1, keepdims=True), 0.0, -np.inf)
    known["π_ref among responses above the mean"] = normalised(world.log_reference + good)
    if setting.sampling.off_policy:
        known["μ"] = writer
        known["μ among responses above the mean"] = normalised(writer + good)
        known[f"μ·e^(r/{strength:g})"] = tilted(writer, rewards, strength)
    found = [Resemblance(name, total_variation(logps, policy)) for name, policy in known.items()]
    # The claim comes first, so that it is named even if a fitted τ is slightly nearer.
    return min(found, key=lambda one: max(one.distance, SAME))


def forward_optimum(base: Floats, rewards: Floats, beta: float) -> Floats:
    """log of the policy that maximises E_π r − β KL(base‖π): β·base/(λ − r), λ such that it sums to 1.

    The gradient of the k3 estimate in a loss is that of the forward KL, not of KL(π‖base). A method with k3
    in its loss (GRPO) converges to this policy if its rewards are not scaled.

    Args:
        base: log-probabilities; (X, Y).
        rewards: r; (X, Y).
        beta: reward per nat.
    """
    weights = beta * np.exp(base)
    found = np.empty_like(base)
    for x, (row, own) in enumerate(zip(rewards, weights, strict=True)):

        def excess(gap: float, row: Floats = row, own: Floats = own) -> float:
            return float((own / (gap + row.max() - row)).sum()) - 1.0

        gap = brentq(excess, own[row.argmax()] / 2, own.sum() + 1.0, xtol=1e-14)
        found[x] = np.log(own / (gap + row.max() - row))
    return normalised(found)


def _nearest_tau(world: World, rewards: Floats, logps: Floats) -> float:
    """The τ whose optimum is nearest in total variation."""

    def distance(log_tau: float) -> float:
        return total_variation(logps, tilted(world.log_reference, rewards, float(np.exp(log_tau))))

    grid = np.linspace(*_LOG_TAU, 61)
    start = int(np.argmin([distance(log_tau) for log_tau in grid]))
    bounds = (grid[max(0, start - 1)], grid[min(60, start + 1)])
    return float(np.exp(minimize_scalar(distance, bounds=bounds, method="bounded").x))
