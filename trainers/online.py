"""What an online objective is: an advantage for each rollout, and a surrogate to climb."""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from trainers.drawing import Draws
from trainers.errors import UserError
from trainers.objective import Axes, LossOutput, Method, Need
from trainers.prompt_choice import PromptSampling, chosen_prompts
from trainers.reward_scale import RewardScaling
from trainers.rollout_backend import truncated
from trainers.surrogate import masked_sum

#: What a critic starts as: a copy of the reference policy, or of the reward model that trains it.
CriticInit = Literal["reference", "reward"]


@dataclass(frozen=True)
class Rollouts:
    """B sampled responses in groups that share a prompt. All without gradient.

    Attributes:
        rewards: (B,), in float64: a large offset leaves float32 no digits for what differs.
        groups: 0 … P−1, which prompt each answers; (B,).
        mask: True on response tokens, end-of-sequence included; (B, T).
        behaviour_logps: log-probs under the policy that sampled them; (B, T).
        proximal_logps: under the policy as it is when the inner epochs begin: the centre of the trust region.
            Equal to ``behaviour_logps`` for fresh rollouts; (B, T).
        reference_logps: under π_ref; (B, T).
        finished: whether it ended by itself; (B,).
        age: iterations since it was sampled: 0 for fresh ones; (B,).
        values: the critic's V before each token; (B, T), or None.
    """

    rewards: Tensor
    groups: Tensor
    mask: Tensor
    behaviour_logps: Tensor
    proximal_logps: Tensor
    reference_logps: Tensor
    finished: Tensor
    age: Tensor
    values: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def log_ratio(self) -> Tensor:
        """log π/π_ref of each sampled sequence, under the policy as it is now; (B,)."""
        return masked_sum(self.proximal_logps - self.reference_logps, self.mask)

    def take(self, rows: Tensor) -> Self:
        """The rollouts at ``rows``."""
        columns = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        taken: dict[str, Any] = {name: None if c is None else c[rows] for name, c in columns.items()}
        return type(self)(**taken)

    def all_under(self, logps: Tensor) -> Self:
        """The rollouts with the log-probs (B, T) that a pass gives them, where all policies are one still."""
        return dataclasses.replace(self, behaviour_logps=logps, proximal_logps=logps, reference_logps=logps)


@dataclass(frozen=True)
class Minibatch:
    """Part of an optimiser batch, with the policy's and critic's current numbers.

    Attributes:
        rollouts: what was sampled; b rows.
        advantages: (b, T).
        returns: the critic's targets; (b, T), or None.
        logps: log-probs under the policy being trained, with gradient; (b, T).
        values: the critic's, with gradient; (b, T), or None.
        total_rollouts: in the whole optimiser batch.
        total_tokens: in the whole optimiser batch.
        longest: the length limit of responses.
        entropies: of the policy at each token, in nats, with gradient; (b, T), or None if not asked for.
    """

    rollouts: Rollouts
    advantages: Tensor
    returns: Tensor | None
    logps: Tensor
    values: Tensor | None
    total_rollouts: int
    total_tokens: int
    longest: int
    entropies: Tensor | None = None


@dataclass(frozen=True)
class OnlineMethod(Method, ABC):
    """An objective on the policy's own rollouts.

    Attributes:
        kl_coef: strength of the pull towards the reference.
        group_size: rollouts per prompt.
        inner_epochs: passes over one iteration's rollouts.
        minibatches: optimiser steps per pass.
        clip_low: the ratio is clipped below 1 − clip_low.
        clip_high: and above 1 + clip_high.
        temperature: of sampling; logits are divided by it before all log-probs.
        unfinished_reward: replaces the reward of a response cut off by the length limit; None: keeps it.
        filter_groups: draws new prompts for groups without reward variance (DAPO's dynamic sampling).
        prompts: "uniform"; "curriculum": easy ones first; "adaptive": those that teach most; "filtered": as
            ``filter_groups``.
        reward_scaling: "none", or "running": rewards are divided by the deviation of all so far.
        reward_clip: after that, rewards are kept within ± this; None: no limit.
    """

    kl_coef: float = 0.05
    group_size: int = 8
    inner_epochs: int = 1
    minibatches: int = 1
    clip_low: float = 0.2
    clip_high: float = 0.2
    temperature: float = 1.0
    unfinished_reward: float | None = None
    filter_groups: bool = False
    prompts: PromptSampling = "uniform"
    reward_scaling: RewardScaling = "none"
    reward_clip: float | None = None

    strength_name: ClassVar[str] = "kl_coef"
    default_strengths: ClassVar[tuple[float, ...]] = (1.0, 0.5, 0.2, 0.1, 0.05)
    least_group: ClassVar[int] = 1
    paired: ClassVar[bool] = False  # whether rollouts are compared two by two
    uses_critic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuses groups too small to compare anything in, and a limit that leaves no reward."""
        if self.reward_clip is not None and self.reward_clip <= 0:
            raise UserError(f"{self.name}: reward_clip is above 0, not {self.reward_clip:g}.")
        if self.reward_clip is not None and (self.filters or self.replay_groups):
            raise UserError(
                f"{self.name}: reward_clip may make a group's rewards equal after groups were chosen by "
                "their difference: leave it out, or filter_groups, prompts=filtered and replay."
            )
        if self.group_size < self.least_group:
            raise UserError(
                f"{self.name} compares the rollouts of a prompt with each other: group_size is at least "
                f"{self.least_group}, not {self.group_size}."
            )

    @property
    def needs(self) -> frozenset[Need]:
        """A policy to sample from, and a reward for what it says."""
        return frozenset({Need.ROLLOUTS, Need.VALUE} if self.uses_critic else {Need.ROLLOUTS})

    @property
    def draws(self) -> Draws:
        """How its groups are drawn."""
        return Draws(
            self.group_size,
            self.prompts,
            self.filters,
            self.temperature,
            self.unfinished_reward,
            self.inner_epochs,
        )

    @property
    def filters(self) -> bool:
        """Whether groups without reward variance are drawn anew."""
        return self.filter_groups or self.prompts == "filtered"

    @property
    def chosen_axes(self) -> Axes:
        """The axes with the prompts as they are chosen."""
        prompts = chosen_prompts(self.axes.prompts, self.prompts, self.filters)
        return dataclasses.replace(self.axes, prompts=prompts)

    @property
    def uses_entropy(self) -> bool:
        """Whether the surrogate needs the policy's entropy at each token."""
        return False

    @property
    def replay_groups(self) -> int:
        """Size of the replay buffer, in groups; 0: none."""
        return 0

    @property
    def max_age(self) -> int:
        """Iterations after which a group is no longer replayed."""
        return 0

    @property
    def target_kl(self) -> float | None:
        """The KL per sequence near which kl_coef is kept by adapting it; None: kl_coef stays as it is."""
        return None

    @property
    def critic_init(self) -> CriticInit:
        """What a critic starts as."""
        return "reference"

    def shaped_rewards(self, rollouts: Rollouts) -> Tensor:
        """r̂ = r − kl_coef · log π/π_ref of the sampled sequence; (B,)."""
        return rollouts.rewards - self.kl_coef * rollouts.log_ratio

    def sampler_weights(self, log_weights: Tensor, mask: Tensor) -> Tensor:
        """Truncated weights of advantages, for rollouts of another engine; (B, T).

        Args:
            log_weights: log π/π_sampler of each token, zero beyond the end; (B, T).
            mask: True on response tokens; (B, T).
        """
        return truncated(log_weights)

    @abstractmethod
    def advantages(self, rollouts: Rollouts) -> tuple[Tensor, Tensor | None]:
        """Advantages (B, T) of the whole iteration, and the critic's targets (B, T) or None.

        In the rewards' float64; the engine makes them float32 afterwards.
        """

    @abstractmethod
    def surrogate(self, batch: Minibatch) -> LossOutput:
        """The loss of a part of the optimiser batch; the parts' losses add up to the batch's."""

    @staticmethod
    def per_token(advantages: Tensor, rollouts: Rollouts) -> Tensor:
        """A sequence's advantage (B,) given to each of its tokens; (B, T)."""
        return torch.where(rollouts.mask, advantages[:, None], 0.0)
