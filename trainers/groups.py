"""Groups of rollouts that share a prompt, and the buffer that replays them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from trainers.advantages import all_equal


@dataclass(frozen=True)
class Group:
    """G responses to one prompt, as they were sampled.

    Attributes:
        prompt: token ids.
        responses: token ids, G lists.
        rewards: G numbers.
        behaviour_logps: under the policy that sampled them, G tensors (T_i,).
        finished: G flags.
        born: the iteration it was sampled in.
        log_weights: log π/π_sampler of each token, where another engine sampled them; G tensors (T_i,).
    """

    prompt: list[int]
    responses: list[list[int]]
    rewards: list[float]
    behaviour_logps: list[Tensor]
    finished: list[bool]
    born: int
    log_weights: list[Tensor] | None = None

    @property
    def degenerate(self) -> bool:
        """Whether all rewards are equal, so that group-relative advantages vanish."""
        return all_equal(self.rewards)

    def state(self) -> dict[str, Any]:
        """Plain lists and tensors, for a checkpoint."""
        return dict(vars(self))


@dataclass
class ReplayBuffer:
    """The most recent effective groups, first in, first out.

    Attributes:
        size: groups at most.
        max_age: iterations after which a group is no longer used.
        groups: the oldest first.
    """

    size: int
    max_age: int
    groups: list[Group] = field(default_factory=list)

    def replace(self, fresh: Sequence[Group], iteration: int) -> list[Group]:
        """The fresh groups, degenerate ones exchanged for the most recent kept ones; then keeps the others.

        Every kept group is used at most once an iteration; where the buffer runs out, the degenerate group
        stays (and gives no gradient).
        """
        usable = [g for g in self.groups if iteration - g.born <= self.max_age]
        mixed = [usable.pop() if g.degenerate and usable else g for g in fresh]
        self.groups = [*self.groups, *(g for g in fresh if not g.degenerate)][-self.size :]
        return mixed

    def state(self) -> list[dict[str, Any]]:
        """Plain lists and tensors, for a checkpoint."""
        return [group.state() for group in self.groups]

    def load(self, state: list[dict[str, Any]]) -> None:
        """Restores a ``state``."""
        self.groups = [Group(**fields) for fields in state]


def padded(rows: Sequence[Tensor], longest: int) -> Tensor:
    """Right-pads B tensors (T_i,) by zeros; (B, longest)."""
    result = torch.zeros(len(rows), longest)
    for i, row in enumerate(rows):
        result[i, : len(row)] = row
    return result
