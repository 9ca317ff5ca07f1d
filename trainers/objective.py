"""The interface of training objectives: required data, the three axes, the loss."""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trainers.errors import UserError
from trainers.examples import Examples
from trainers.prompt_choice import PromptSampling, chosen_prompts


class Need(StrEnum):
    """What a method needs from its data beyond (prompt, response)."""

    REWARD = "reward"
    LABEL = "label"  # desirable or undesirable
    PAIR = "pair"  # two responses to one prompt
    GROUP = "group"  # at least two responses per prompt
    KL_PARTNER = "kl_partner"  # mismatched pairs (x_i, y_j)
    VALUE = "value"  # a separate value network V(x)
    PARTITION = "partition"  # log Ẑ(x), estimated from the data before training
    REFERENCE_REWARDS = "reference_rewards"  # rewards of π_ref's samples for each prompt
    ROLLOUTS = "rollouts"  # the policy's own samples, scored as they are made
    BEHAVIOUR_LOGP = "behaviour_logp"  # log-probs under the policy that wrote the data


@dataclass(frozen=True)
class Axes:
    """The survey's three axes (arXiv 2407.16216): Σ_{x~prompts, y~responses} GC(x, y) ∇log π(y|x)."""

    prompts: str
    responses: str
    coefficient: str  # the gradient coefficient GC, in ascent direction


@dataclass(frozen=True)
class Batch:
    """The inputs of a loss: one number per row of a micro-batch. Everything but the policy is a constant.

    Attributes:
        policy_logps: log π_θ(y|x) summed over the response's tokens, EOS included; (B,), with gradient.
        reference_logps: the same under π_ref; (B,).
        lengths: tokens of each response, EOS included; (B,).
        reward: scaled for the method; (B,).
        desirable: whether the response counts as good; (B,) bool, or None.
        log_partition: log Ẑ(x); (B,), or None.
        value: V(x) with gradient to the value network; (B,), or None.
        partner_log_ratio: D of the mismatched pairs (x_i, y_j), without gradient; (B,), or None.
        statistic: what ``Method.statistic`` made of the whole optimiser batch; (), or None.
    """

    policy_logps: Tensor
    reference_logps: Tensor
    lengths: Tensor
    reward: Tensor
    desirable: Tensor | None = None
    log_partition: Tensor | None = None
    value: Tensor | None = None
    partner_log_ratio: Tensor | None = None
    statistic: Tensor | None = None

    @property
    def log_ratio(self) -> Tensor:
        """D(y) = log π_θ(y|x) − log π_ref(y|x), summed over tokens; (B,)."""
        return self.policy_logps - self.reference_logps

    @property
    def mean_log_ratio(self) -> Tensor:
        """D(y) / |y|: the log-ratio per token; (B,)."""
        return self.log_ratio / self.lengths


@dataclass(frozen=True)
class LossOutput:
    """A loss with further numbers for the log.

    Attributes:
        loss: the mean over the micro-batch; ().
        logged: name → a detached scalar (); averaged over micro-batches into the training log.
    """

    loss: Tensor
    logged: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """What every training objective has. Subclasses are frozen dataclasses: fields are hyperparameters."""

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    equation: ClassVar[str]
    axes: ClassVar[Axes]
    strength_name: ClassVar[str]  # the field that moves the method along its frontier
    default_strengths: ClassVar[tuple[float, ...]]  # most conservative first
    default_learning_rate: ClassVar[float] = 1e-4

    @property
    def needs(self) -> frozenset[Need]:
        """What the data must provide under these options."""
        return frozenset()

    @property
    def chosen_axes(self) -> Axes:
        """The axes under these options."""
        return self.axes

    @property
    def samples_policy(self) -> bool:
        """Whether the policy is sampled in training, which takes a reward."""
        return Need.ROLLOUTS in self.needs

    @property
    def learns_from_logged(self) -> bool:
        """Whether it learns from responses in the data."""
        return not self.samples_policy

    @property
    def strength(self) -> float:
        """The current value of the strength field."""
        return float(getattr(self, self.strength_name))

    def with_strength(self, strength: float) -> Self:
        """The same method at another strength."""
        kind = type(getattr(self, self.strength_name))
        if kind is int and strength != int(strength):
            raise UserError(f"{self.name}: {self.strength_name} is a whole number, not {strength:g}.")
        return dataclasses.replace(self, **{self.strength_name: kind(strength)})


@dataclass(frozen=True)
class OfflineMethod(Method, ABC):
    """An objective on logged responses.

    The loss is a mean over rows of a function of each row's numbers and of ``statistic``, so that splitting
    an optimiser batch into micro-batches changes nothing.

    Attributes:
        rounds: 0: logged responses; else responses of the policy itself, sampled anew at the start of each
            of so many rounds of the training. As many rounds as steps is fully online.
        samples: responses to a prompt in a round.
        reference: the reference of a round's log-ratios: the "initial" policy, or the "previous" one, which
            the round starts from; rewards are then corrected so that the optimum is the same.
        fresh: share of a round's rows that are sampled; the others are logged ones.
        prompts: which prompts are sampled; see ``trainers.prompt_choice``.
    """

    rounds: int = field(default=0, kw_only=True)
    samples: int = field(default=8, kw_only=True)
    reference: Literal["initial", "previous"] = field(default="initial", kw_only=True)
    fresh: float = field(default=1.0, kw_only=True)
    prompts: PromptSampling = field(default="uniform", kw_only=True)

    strength_selects: ClassVar[bool] = False  # the strength does nothing but choose ``rows``
    zscore_rewards: ClassVar[bool] = False  # z-score with the training rows' mean and deviation

    @property
    def samples_policy(self) -> bool:
        """Whether responses are sampled in rounds."""
        return self.rounds > 0

    @property
    def learns_from_logged(self) -> bool:
        """Whether it learns from responses in the data, alone or in a mixture."""
        return not self.rounds or self.fresh < 1

    @property
    def reads_logged(self) -> bool:
        """Whether it needs the data's rows at all: to learn from, or for their reference rewards."""
        return self.learns_from_logged or Need.REFERENCE_REWARDS in self.needs

    @property
    def chosen_axes(self) -> Axes:
        """The axes with prompts and responses as rounds choose them."""
        if not self.rounds:
            return self.axes
        source = "samples of the policy" if self.fresh == 1 else "samples of the policy and logged responses"
        of = f"{source}, {self.rounds} rounds: {self.axes.responses.replace('logged ', '')}"
        return dataclasses.replace(self.axes, prompts=chosen_prompts("prompts", self.prompts), responses=of)

    @property
    def statistic_reads_policy(self) -> bool:
        """Whether ``statistic`` depends on ``policy_logps``, which micro-batches then compute twice."""
        return False

    def rows(self, examples: Examples) -> NDArray[np.int64] | None:
        """The rows to train on, or None for all."""
        return None

    def pairs(self, examples: Examples) -> NDArray[np.int64] | None:
        """Rows of the pairs to train on, (M, 2), or None where the method learns from single rows.

        A micro-batch of P pairs then has 2P rows: all the first ones, then all the second ones.
        """
        return None

    def transformed(self, examples: Examples) -> Examples:
        """The rows with the method's own reward transformation, after z-scoring."""
        return examples

    def log_partition(
        self, examples: Examples, reference_logps: NDArray[np.float64], lengths: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """log Ẑ(x) of each row's prompt, from the rows alone; (N,), or None where the method has none."""
        return None

    def statistic(self, batch: Batch) -> Tensor | None:
        """A constant shared by the optimiser batch, computed without gradient from all its rows; ()."""
        return None

    @abstractmethod
    def loss(self, batch: Batch) -> LossOutput:
        """The objective on one micro-batch."""

    @abstractmethod
    def coefficient(self, batch: Batch) -> Tensor:
        """The declared gradient coefficient GC, detached; (B,).

        −∇loss = (1/U) Σ_i GC_i ∇log π_θ(y_i|x_i), U the number of units: rows, or pairs.
        """
