"""The tokenised rows that every method is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trainers.errors import UserError


@dataclass(frozen=True)
class Examples:
    """N scored responses as token ids; row i of every array speaks of the same response.

    Attributes:
        prompts: token ids of each row's prompt, N lists.
        responses: token ids of each response, end-of-sequence included, N lists.
        rewards: (N,) float64.
        groups: which prompt a row belongs to, (N,) int64.
        desirable: (N,) bool, or None.
        behaviour_logps: log-probability under the policy that wrote the response, (N,) float64, or None.
        reference_rewards: group → rewards of reference samples, or None.
        pairs: which annotated preference pair a row belongs to, −1 for none, (N,) int64, or None.
        labels: what the data itself calls a row, 1 desirable, 0 undesirable, −1 nothing, (N,) int8, or None.
    """

    prompts: Sequence[Sequence[int]]
    responses: Sequence[Sequence[int]]
    rewards: NDArray[np.float64]
    groups: NDArray[np.int64]
    desirable: NDArray[np.bool_] | None = None
    behaviour_logps: NDArray[np.float64] | None = None
    reference_rewards: dict[int, NDArray[np.float64]] | None = None
    pairs: NDArray[np.int64] | None = None
    labels: NDArray[np.int8] | None = None

    def __post_init__(self) -> None:
        sizes = {len(self.prompts), len(self.responses), len(self.rewards), len(self.groups)}
        if len(sizes) != 1 or 0 in sizes:
            raise UserError(f"Training needs rows, as many of each column; the columns have {sorted(sizes)}.")
        if not np.isfinite(self.rewards).all():
            first = int(np.flatnonzero(~np.isfinite(self.rewards))[0])
            raise UserError(f"Row {first} has the reward {self.rewards[first]}: rewards must be finite.")
        if any(len(tokens) == 0 for tokens in self.responses):
            raise UserError("A response has no tokens, not even end-of-sequence.")

    def __len__(self) -> int:
        return len(self.rewards)

    def take(self, indices: NDArray[np.int64]) -> Self:
        """The rows at ``indices``, in that order."""
        return type(self)(
            prompts=[self.prompts[i] for i in indices],
            responses=[self.responses[i] for i in indices],
            rewards=self.rewards[indices],
            groups=self.groups[indices],
            desirable=None if self.desirable is None else self.desirable[indices],
            behaviour_logps=None if self.behaviour_logps is None else self.behaviour_logps[indices],
            reference_rewards=self.reference_rewards,
            pairs=None if self.pairs is None else self.pairs[indices],
            labels=None if self.labels is None else self.labels[indices],
        )

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of prompt and response together, (N,)."""
        pairs = zip(self.prompts, self.responses, strict=True)
        return np.array([len(prompt) + len(response) for prompt, response in pairs], dtype=np.int64)
