"""The pairwise family: one loss path for DPO and its relatives.

A pair has a better response w and a worse one l. With a score s of each response,

    u = β (s_w − s_l − m) − η (r_w − r_l) + α (|y_w| − |y_l|) − β λ max(0, −D_w)
    L = E[a f(u) + b f(−u)] + c E[−log π_θ(y_w) / |y_w|]

Score, f, the weights (a, b) and the constants make the methods in ``trainers.dpo``.
"""

from abc import ABC
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from trainers.errors import UserError
from trainers.examples import Examples
from trainers.objective import Batch, LossOutput, Need, OfflineMethod
from trainers.pairs import Pairing, make_pairs

Link = Literal["sigmoid", "hinge", "ipo", "squared"]
Score = Literal["log_ratio", "mean_log_ratio", "mean_logp", "log_odds"]
Smoothing = Literal["conservative", "robust"]


def link_loss(link: Link, u: Tensor, beta: float) -> Tensor:
    """f(u) of each pair; (P,).

    ``sigmoid``: −log σ(u). ``hinge``: max(0, 1 − u). ``ipo``: ((u − ½)/β)². ``squared``: (u/β)².
    """
    if link == "sigmoid":
        return -F.logsigmoid(u)
    if link == "hinge":
        return torch.relu(1 - u)
    return ((u - _target(link)) / beta).square()


def link_slope(link: Link, u: Tensor, beta: float) -> Tensor:
    """f′(u) of each pair; (P,)."""
    if link == "sigmoid":
        return -torch.sigmoid(-u)
    if link == "hinge":
        return -(u < 1).to(u.dtype)
    return 2 * (u - _target(link)) / beta**2


def _target(link: Link) -> float:
    return 0.5 if link == "ipo" else 0.0


@dataclass(frozen=True)
class Pairwise(OfflineMethod, ABC):
    """A loss on pairs of responses, a better and a worse one.

    Attributes:
        beta: β, the scale of the scores' difference.
        objective: f: "sigmoid" (logistic), "hinge", "ipo" (squared, around ½) or "squared" (around 0).
        pairing: how pairs are made from scored responses; see ``trainers.pairs``.
        score: s: "log_ratio" D(y); "mean_log_ratio" D(y)/|y|; "mean_logp" log π(y)/|y|, without a reference;
            "log_odds" of the probability e^{log π(y)/|y|}.
        target_margin: m ≥ 0, in nats: by how much s_w must exceed s_l.
        reward_margin: η ≥ 0: the margin grows with the difference of the rewards.
        reward_label: η ≥ 0: the better response is better with probability σ(η (r_w − r_l)); 0: for sure.
        label_smoothing: ε in [0, ½): share of pairs whose order is taken to be wrong.
        smoothing: "conservative": (1 − ε) f(u) + ε f(−u); "robust": the unbiased correction of it.
        length_penalty: α ≥ 0, per token: the reward that is learnt has α|y| taken off.
        positive_penalty: λ ≥ 0: penalty on a better response that falls below its reference.
        sft_weight: c ≥ 0: weight of the better response's negative log-likelihood per token.
    """

    beta: float = 0.1
    objective: Link = "sigmoid"
    pairing: Pairing = "best_worst"
    score: Score = "log_ratio"
    target_margin: float = 0.0
    reward_margin: float = 0.0
    reward_label: float = 0.0
    label_smoothing: float = 0.0
    smoothing: Smoothing = "conservative"
    length_penalty: float = 0.0
    positive_penalty: float = 0.0
    sft_weight: float = 0.0

    def __post_init__(self) -> None:
        """Refuses constants out of range."""
        if not self.beta > 0:
            raise UserError(f"{self.name}: beta is above 0, not {self.beta:g}.")
        names = ("target_margin", "reward_margin", "reward_label", "length_penalty", "positive_penalty")
        for name in (*names, "sft_weight"):
            if not getattr(self, name) >= 0:
                raise UserError(f"{self.name}: {name} is 0 or more, not {getattr(self, name):g}.")
        if not 0 <= self.label_smoothing < 0.5:
            raise UserError(
                f"{self.name}: label_smoothing is from 0 to below 0.5, not {self.label_smoothing:g}: with "
                "half of the labels wrong, pairs say nothing."
            )
        if self.label_smoothing and self.reward_label:
            raise UserError(f"{self.name}: give label_smoothing or reward_label, not both.")

    @property
    def needs(self) -> frozenset[Need]:
        """Pairs."""
        return frozenset({Need.REWARD, Need.PAIR})

    def pairs(self, examples: Examples) -> NDArray[np.int64]:
        """(better, worse) rows; (M, 2)."""
        return make_pairs(examples, self.pairing)

    def loss(self, batch: Batch) -> LossOutput:
        """The loss on P pairs, the better rows first."""
        u = self._differences(batch)  # (P,)
        right, wrong = self._weights(batch)
        losses = right * link_loss(self.objective, u, self.beta)
        if self.label_smoothing or self.reward_label:
            losses = losses + wrong * link_loss(self.objective, -u, self.beta)
        if self.sft_weight:
            losses = losses - self.sft_weight * (batch.policy_logps / batch.lengths).chunk(2)[0]
        better, worse = batch.log_ratio.detach().chunk(2)
        logged = {
            "log_ratio_chosen": better.mean(),
            "log_ratio_rejected": worse.mean(),
            "accuracy": (better > worse).float().mean(),
        }
        return LossOutput(losses.mean(), logged)

    def coefficient(self, batch: Batch) -> Tensor:
        """−(a f′(u) − b f′(−u)) ∂u/∂log π, and c/|y_w| for the better row; (2P,)."""
        u = self._differences(batch).detach()
        right, wrong = self._weights(batch)
        pull = wrong * link_slope(self.objective, -u, self.beta)
        pull = self.beta * (pull - right * link_slope(self.objective, u, self.beta))  # (P,)
        slope_w, slope_l = self._score_slopes(batch).chunk(2)
        fallen = (batch.log_ratio.detach().chunk(2)[0] < 0).to(u.dtype)
        better = pull * (slope_w + self.positive_penalty * fallen)
        better = better + self.sft_weight / batch.lengths.chunk(2)[0]
        return torch.cat([better, -pull * slope_l])

    def _differences(self, batch: Batch) -> Tensor:
        """u of each pair; (P,)."""
        scores_w, scores_l = self._scores(batch).chunk(2)
        u = self.beta * (scores_w - scores_l - self.target_margin)
        if self.reward_margin:
            u = u - self.reward_margin * _difference(batch.reward)
        if self.length_penalty:
            u = u + self.length_penalty * _difference(batch.lengths)
        if self.positive_penalty:
            u = u - self.beta * self.positive_penalty * torch.relu(-batch.log_ratio.chunk(2)[0])
        return u

    def _weights(self, batch: Batch) -> tuple[Tensor | float, Tensor | float]:
        """(a, b): weights of the pair as it is, and of the pair turned round."""
        if self.reward_label:
            right = torch.sigmoid(self.reward_label * _difference(batch.reward))
            return right, 1 - right
        wrong = self.label_smoothing
        if self.smoothing == "robust":
            return (1 - wrong) / (1 - 2 * wrong), -wrong / (1 - 2 * wrong)
        return 1 - wrong, wrong

    def _scores(self, batch: Batch) -> Tensor:
        """s of each response; (2P,)."""
        if self.score == "log_ratio":
            return batch.log_ratio
        if self.score == "mean_log_ratio":
            return batch.mean_log_ratio
        mean = batch.policy_logps / batch.lengths
        if self.score == "mean_logp":
            return mean
        mean = mean.clamp(max=_NEAR_CERTAIN)
        return mean - torch.log(-torch.expm1(mean))  # log P − log(1 − P)

    def _score_slopes(self, batch: Batch) -> Tensor:
        """∂s/∂log π of each response; (2P,)."""
        if self.score == "log_ratio":
            return torch.ones_like(batch.lengths)
        if self.score != "log_odds":
            return 1 / batch.lengths
        mean = (batch.policy_logps / batch.lengths).detach()
        inside = (mean < _NEAR_CERTAIN).to(mean.dtype)
        return -inside / (batch.lengths * torch.expm1(mean.clamp(max=_NEAR_CERTAIN)))


#: Mean log-probabilities above this count as this: the odds of a certain response are infinite.
_NEAR_CERTAIN = -1e-3


def _difference(rows: Tensor) -> Tensor:
    better, worse = rows.chunk(2)
    return better - worse
