"""A method's gradient coefficient as a function of a response's reward and log-ratio.

For an offline method, the log-ratio is D of the whole response. For an online method, it is the policy's
change since sampling.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import norm

from rpo_bench.stats.arrays import Floats
from trainers.examples import Examples
from trainers.objective import Batch, Need, OfflineMethod
from trainers.online import Minibatch, OnlineMethod, Rollouts

REWARDS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)  # standard deviations
LOG_RATIOS = (-6.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0)  # nats, of the whole response
MOVES = (-1.0, -0.5, -0.2, -0.1, 0.0, 0.1, 0.2, 0.5, 1.0)  # nats: log π_θ/π_old of the rollout
RESPONSES = 16  # logged for the prompt, besides the examined one
TOKENS = 10  # of every response, at one nat each under π_ref
_REFERENCE_SAMPLES = 255
_OTHERS = 15  # rollouts besides the examined one, if the method has no group size

_OF_PAIRS = "Reward and log-ratio are those of this response minus those of the other response of its pair."
_OF_ROWS = (
    f"One prompt with {RESPONSES} logged responses of {TOKENS} tokens, rewards at the quantiles of a "
    "standard normal; the value and what is shared by a batch are as they are there at D = 0."
)


@dataclass(frozen=True)
class CoefficientMap:
    """GC over a grid.

    Attributes:
        rewards: the response's reward, or its difference from the other one of a pair; (R,).
        log_ratios: the response's D, or its difference from the other one; (C,).
        values: GC; (R, C).
        pairs: whether rewards and log-ratios are differences within a pair.
        caption: what was held fixed.
    """

    rewards: Floats
    log_ratios: Floats
    values: Floats
    pairs: bool
    caption: str


def coefficient_map(method: OfflineMethod) -> CoefficientMap:
    """GC from the method's own ``coefficient``, for rewards in standard deviations.

    Args:
        method: the method at the examined strength.
    """
    pairs = Need.PAIR in method.needs
    rewards = np.array([reward for reward in REWARDS if reward or not pairs])  # a tie makes no pair
    log_ratios = np.array(LOG_RATIOS)
    reward, log_ratio = (axis.ravel() for axis in np.meshgrid(rewards, log_ratios, indexing="ij"))
    values = _of_pairs(method, reward, log_ratio) if pairs else _of_rows(method, reward, log_ratio)
    shaped = values.reshape(len(rewards), len(log_ratios))
    return CoefficientMap(rewards, log_ratios, shaped, pairs, _OF_PAIRS if pairs else _OF_ROWS)


def online_coefficient_map(method: OnlineMethod) -> CoefficientMap:
    """GC by autograd of the method's own surrogate, for a response of one token.

    The rollouts were sampled by the reference policy. One of them is examined, and the others' rewards are
    the quantiles of a standard normal. On it, the policy has since moved by log π_θ/π_old = log π_θ/π_ref.

    Args:
        method: the method at the examined strength.
    """
    rewards = np.array([reward for reward in REWARDS if reward or not method.paired])
    values = np.array([[_of_rollout(method, reward, move) for move in MOVES] for reward in rewards])
    return CoefficientMap(rewards, np.array(MOVES), values, method.paired, _online_caption(method))


def _of_rows(method: OfflineMethod, reward: Floats, log_ratio: Floats) -> Floats:
    logged = _quantiles(RESPONSES)
    around = _batch(method, logged, np.zeros(RESPONSES), logged)
    statistic = method.statistic(around)
    batch = _batch(method, reward, log_ratio, logged)
    return np.asarray(method.coefficient(dataclasses.replace(batch, statistic=statistic)).double())


def _of_pairs(method: OfflineMethod, reward: Floats, log_ratio: Floats) -> Floats:
    """The coefficient of the examined response, which comes first in its pair if it is the better one."""
    better = reward > 0
    first = np.where(better, reward, 0.0), np.where(better, log_ratio, 0.0)
    second = np.where(better, 0.0, reward), np.where(better, 0.0, log_ratio)
    rewards, log_ratios = (np.concatenate(both) for both in zip(first, second, strict=True))
    batch = _batch(method, rewards, log_ratios, _quantiles(RESPONSES))
    found = method.coefficient(dataclasses.replace(batch, statistic=method.statistic(batch)))
    mine, others = np.asarray(found.double()).reshape(2, -1)
    return np.where(better, mine, others)


def _batch(method: OfflineMethod, reward: Floats, log_ratio: Floats, logged: Floats) -> Batch:
    """Rows of one prompt with the logged rewards ``logged``."""
    rows = method.transformed(_examples(reward))
    partition = method.log_partition(
        method.transformed(_examples(logged)),
        np.full(len(logged), -float(TOKENS)),
        np.full(len(logged), float(TOKENS)),
    )

    def column(values: Floats | float) -> torch.Tensor:
        return torch.as_tensor(np.broadcast_to(values, reward.shape).copy(), dtype=torch.float64)

    return Batch(
        policy_logps=column(log_ratio - TOKENS),
        reference_logps=column(-float(TOKENS)),
        lengths=column(float(TOKENS)),
        reward=column(rows.rewards),
        desirable=column(reward) > 0,
        log_partition=None if partition is None else column(float(partition.mean())),
        value=column(_value(method, logged)) if Need.VALUE in method.needs else None,
        partner_log_ratio=column(0.0),
    )


def _examples(rewards: Floats) -> Examples:
    """Responses to one prompt, sampled from π_ref."""
    return Examples(
        prompts=[[0]] * len(rewards),
        responses=[[0] * TOKENS] * len(rewards),
        rewards=rewards,
        groups=np.zeros(len(rewards), dtype=np.int64),
        desirable=rewards > 0,
        behaviour_logps=np.full(len(rewards), -float(TOKENS)),
        reference_rewards={0: _quantiles(_REFERENCE_SAMPLES)},
    )


def _value(method: OfflineMethod, logged: Floats) -> float:
    """V* of the logged rewards if the strength is a τ; else 0."""
    if method.strength_name != "tau":
        return 0.0
    return float(method.strength * (np.logaddexp.reduce(logged / method.strength) - np.log(len(logged))))


def _online_caption(method: OnlineMethod) -> str:
    others = _others(method)
    beside = "The other one of the pair has reward 0" if method.paired else (
        f"The other {others} rollouts have rewards at the quantiles of a standard normal"
    )  # fmt: skip
    return (
        f"{beside}; all were sampled by the reference policy. Across: how far the policy has moved on this "
        "response, of one token, in the inner steps since."
    )


def _others(method: OnlineMethod) -> int:
    if method.paired:
        return 1
    return method.group_size - 1 if method.least_group > 1 else _OTHERS


def _of_rollout(method: OnlineMethod, reward: float, move: float) -> float:
    """−∂L/∂log π_θ of the first rollout, divided by its weight in the batch."""
    rewards: Floats = np.concatenate([[reward], _quantiles(_others(method))])
    count = len(rewards)
    old = torch.full((count, 1), -1.0, dtype=torch.float64)
    values = torch.zeros_like(old) if method.uses_critic else None
    rollouts = Rollouts(
        rewards=torch.as_tensor(rewards),
        groups=torch.zeros(count, dtype=torch.long) if method.least_group > 1 else torch.arange(count),
        mask=torch.ones(count, 1, dtype=torch.bool),
        behaviour_logps=old,
        proximal_logps=old,
        reference_logps=old,
        finished=torch.ones(count, dtype=torch.bool),
        age=torch.zeros(count, dtype=torch.long),
        values=values,
    )
    advantages, returns = method.advantages(rollouts)
    logps = old.clone()
    logps[0] += move
    logps.requires_grad_()
    loss = method.surrogate(
        Minibatch(rollouts, advantages, returns, logps, values, count, count, longest=1)
    ).loss
    (gradient,) = torch.autograd.grad(loss, logps)
    return -float(gradient[0, 0]) * count / (2 if method.paired else 1)


def _quantiles(n: int) -> Floats:
    return np.asarray(norm.ppf((np.arange(n) + 0.5) / n))
