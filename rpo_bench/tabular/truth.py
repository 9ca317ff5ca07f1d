"""One condition: the policy that a method converges to for given data and strength."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from rpo_bench.data.convert import LabelRule
from rpo_bench.tabular.claims import Setting, claim_of
from rpo_bench.tabular.fixed_point import FixedPoint, fixed_point
from rpo_bench.tabular.logged import REPEATS, Sampling, cells, log_responses, whole_groups
from rpo_bench.tabular.rounds import end_of_rounds
from rpo_bench.tabular.world import World, expectation, kl
from rpo_bench.tabular.yardsticks import Resemblance, objective, regret_at_equal_kl, resembles
from trainers.examples import Examples
from trainers.objective import Method, Need, OfflineMethod
from trainers.prepare import PreparedRows, check_needs, prepare_rows

Regime = Literal["on_policy", "off_policy", "rollouts"]

#: KL to the claimed policy, in nats, that counts as having reached it.
TOLERANCE = 2e-3
#: With more noise than this, in nats, the result is undecided.
LOUD = 0.05
#: The large K for methods that select among the K, for which one group of all responses is not the limit.
LARGE_K = 32
_FEWEST_GROUPS = 128
_MORE_FOR_NOISE = 4
_MOST_ROWS = 2**15  # of a prompt


@dataclass(frozen=True)
class Condition:
    """The data, the strength and the number of responses per prompt.

    Attributes:
        data: the policy that wrote the responses: π_ref, another policy μ, or the policy in training.
        strength: of the method.
        k: responses in a group.
        limit: whether the group is the whole distribution, each response in proportion to its probability:
            the limit K → ∞.
    """

    data: Regime
    strength: float
    k: int
    limit: bool = False


@dataclass(frozen=True)
class Truth:
    """The result of a condition; KL in nats, rewards in standard deviations.

    Attributes:
        condition: the condition.
        claim: the policy that the method claims to converge to, or None.
        kl: KL(π_θ‖claimed); None without a claim.
        reverse_kl: KL(claimed‖π_θ).
        noise: the part of ``kl`` explained by random grouping and noise, from two logs.
        objective_gap: J(claimed) − J(π_θ) of J = E R − τ KL(π‖π_ref), in units of the scaled reward.
        reward: E r under π_θ.
        reference_kl: KL(π_θ‖π_ref).
        regret: how much more reward the best policy of equal KL has.
        drift: total variation by which the last round of steps still moved the policy.
        at_rest: whether training converged.
        nearest: the nearest known policy.
    """

    condition: Condition
    claim: str | None
    kl: float | None
    reverse_kl: float | None
    noise: float
    objective_gap: float | None
    reward: float
    reference_kl: float
    regret: float
    drift: float
    at_rest: bool
    nearest: Resemblance

    @property
    def reached(self) -> bool:
        """Whether the fixed point is the claimed policy, within tolerance and noise."""
        if self.kl is None or not self.noise <= LOUD:
            return False
        return self.kl <= TOLERANCE + 3 * self.noise


@dataclass(frozen=True)
class Log:
    """Data to train a method on, and how they were generated."""

    sampling: Sampling
    examples: Examples


def units_per_group(method: OfflineMethod, world: World, k: int) -> float:
    """The number of units (rows or pairs) from a group of k for the method.

    Raises:
        UserError: the method can't learn from groups of k.
    """
    sampling = Sampling(k, whole_groups(k, 4 * k))
    return len(prepared(method, world, log_of(method, world, sampling, 0)).units) / (
        len(world.rewards) * sampling.groups
    )


def log_of(method: OfflineMethod, world: World, sampling: Sampling, seed: int) -> Log:
    """Logged data, labelled by the method's own rule if it has one."""
    rule: LabelRule = getattr(method, "label_rule", "prompt_mean")
    beside = Need.REFERENCE_REWARDS in method.needs
    return Log(sampling, log_responses(world, sampling, seed, rule, reference_rewards=beside))


def sampling_for(
    method: OfflineMethod, world: World, condition: Condition, noise: float, units: int
) -> Sampling:
    """Enough groups for ``units`` rows or pairs per prompt; an exact group is the only one."""
    k, off_policy = condition.k, condition.data == "off_policy"
    if condition.limit:
        return Sampling(k, whole_groups(k, k), off_policy, noise)
    if noise > 0.0:
        units *= _MORE_FOR_NOISE
    groups = max(_FEWEST_GROUPS, math.ceil(units / units_per_group(method, world, k)))
    rows = min(k * groups, _MOST_ROWS)
    return Sampling(k, whole_groups(k, rows // REPEATS if noise > 0.0 else rows), off_policy, noise)


def has_limit(method: OfflineMethod, world: World) -> bool:
    """Whether one group of all responses is the limit K → ∞: not if the method selects or pairs responses."""
    return units_per_group(method, world, 16) == 16


def prepared(method: OfflineMethod, world: World, log: Log) -> PreparedRows:
    """The rows as the trainers prepare them, with π_ref from the table."""
    check_needs(method, log.examples)
    return prepare_rows(method, log.examples, world.log_reference[cells(log.examples)])


def truth_of(method: OfflineMethod, world: World, condition: Condition, logs: Sequence[Log]) -> Truth:
    """Trains on each of the logs, and measures the final policy.

    Args:
        method: at the condition's strength.
        world: the tabular problem.
        condition: the condition of the logs.
        logs: one, or two that differ only by chance.
    """
    ends: list[FixedPoint] = []
    settings: list[Setting] = []
    for number, log in enumerate(logs):
        if method.rounds:
            end, (mean, sd) = end_of_rounds(
                method, world, log.sampling, log.examples, partial(_round_of, method, number)
            )
        else:
            rows = prepared(method, world, log)
            end, mean, sd = fixed_point(method, rows, world), rows.reward_mean, rows.reward_sd
        ends.append(end)
        settings.append(Setting(world, log.sampling, (world.rewards - mean) / sd))
    return truth_from(method, condition, settings, ends)


def _round_of(method: OfflineMethod, seed: int, world: World, sampling: Sampling, index: int) -> Examples:
    """The rows of a later round."""
    return log_of(method, world, sampling, 100 * index + seed).examples


def truth_from(
    method: Method, condition: Condition, settings: Sequence[Setting], ends: Sequence[FixedPoint]
) -> Truth:
    """Measures the final policy.

    Args:
        method: at the condition's strength.
        condition: the condition.
        settings: the setting of the claim, for each end.
        ends: one, or two that differ only by chance.
    """
    found = [_measured(method, setting, end) for setting, end in zip(settings, ends, strict=True)]
    setting = settings[-1]
    claim = claim_of(method, setting)
    noise = 0.0
    if len(ends) == 2:
        noise = (kl(ends[0].logps, ends[1].logps) + kl(ends[1].logps, ends[0].logps)) / 4
    mean = {name: _mean([each[name] for each in found]) for name in found[0]}
    return Truth(
        condition=condition,
        claim=None if claim is None else claim.text,
        noise=noise,
        drift=max(end.drift for end in ends),
        at_rest=all(end.at_rest for end in ends),
        nearest=resembles(setting, claim, ends[-1].logps, method.strength),
        **mean,  # type: ignore[arg-type]
    )


def _measured(method: Method, setting: Setting, end: FixedPoint) -> dict[str, float | None]:
    world, claim = setting.world, claim_of(method, setting)
    gap = None
    if claim is not None:
        there, here = objective(claim, world, claim.logps), objective(claim, world, end.logps)
        gap = None if there is None or here is None else there - here
    return {
        "kl": None if claim is None else kl(end.logps, claim.logps),
        "reverse_kl": None if claim is None else kl(claim.logps, end.logps),
        "objective_gap": gap,
        "reward": expectation(end.logps, world.rewards),
        "reference_kl": kl(end.logps, world.log_reference),
        "regret": regret_at_equal_kl(world, end.logps),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
