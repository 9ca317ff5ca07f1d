"""What the training log says of an iteration's rollouts, before the policy learns from them."""

from collections.abc import Sequence

import numpy as np

from trainers.advantages import degenerate_groups
from trainers.groups import Group
from trainers.online import Rollouts


def described(drawn: Sequence[Group], rollouts: Rollouts) -> dict[str, float]:
    """Reward, KL and the state of the groups.

    Reward and zero variance are of all groups that were drawn: what filtering leaves is no sample of the
    policy.

    Args:
        drawn: all groups sampled in this iteration.
        rollouts: those learnt from, replayed ones included.
    """
    new = rollouts.age == 0
    log_weights = (rollouts.proximal_logps - rollouts.behaviour_logps)[rollouts.mask]
    on_policy = rollouts.take(new.nonzero()[:, 0]) if bool(new.any()) else rollouts
    return {
        "reward": float(np.mean([reward for group in drawn for reward in group.rewards])),
        "kl": float(on_policy.log_ratio.mean()),
        "length": float(rollouts.mask.sum(1).float().mean()),
        "finished": float(rollouts.finished.float().mean()),
        "zero_variance": float(np.mean([group.degenerate for group in drawn])),
        "without_gradient": float(degenerate_groups(rollouts.rewards, rollouts.groups).float().mean()),
        "replayed": float((~new).float().mean()),
        "age": float(rollouts.age.float().mean()),
        "weight_max": float(log_weights.exp().max()),
    }
