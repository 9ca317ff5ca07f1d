"""An online method's gradient coefficient over a rollout's reward and how far the policy has moved since."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from rpo_bench.methods.coefficients import REWARDS, CoefficientMap
from trainers.online import Minibatch, OnlineMethod, Rollouts

MOVES = (-1.0, -0.5, -0.2, -0.1, 0.0, 0.1, 0.2, 0.5, 1.0)  # nats: log π_θ/π_old of the rollout

_OTHERS = 15  # rollouts beside the one that is looked at, where no group says how many


def online_coefficient_map(method: OnlineMethod) -> CoefficientMap:
    """GC by autograd of the method's own surrogate, for a response of one token.

    The rollouts were sampled by the reference policy, one of them is looked at, and the others' rewards are
    the quantiles of a standard normal; the policy has since moved on it by log π_θ/π_old = log π_θ/π_ref.

    Args:
        method: at the strength that is to be looked at.
    """
    rewards = np.array([reward for reward in REWARDS if reward or not method.paired])
    values = np.array([[_coefficient(method, reward, move) for move in MOVES] for reward in rewards])
    return CoefficientMap(rewards, np.array(MOVES), values, method.paired, _caption(method))


def _caption(method: OnlineMethod) -> str:
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


def _coefficient(method: OnlineMethod, reward: float, move: float) -> float:
    """−∂L/∂log π_θ of the first rollout, over its weight in the batch."""
    rewards: NDArray[np.float64] = np.concatenate([[reward], _quantiles(_others(method))])
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


def _quantiles(n: int) -> NDArray[np.float64]:
    return np.asarray(norm.ppf((np.arange(n) + 0.5) / n))
