"""DPO and IPO: direct preference optimisation on pairs (arXiv 2305.18290, 2310.12036)."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from trainers.examples import Examples
from trainers.objective import Axes, Batch, LossOutput, Need, OfflineMethod
from trainers.pairs import Pairing, make_pairs


def dpo_loss(log_ratio_w: Tensor, log_ratio_l: Tensor, beta: float) -> Tensor:
    """−log σ(β (D_w − D_l)), DPO eq. 7; () from two (P,)."""
    return -F.logsigmoid(beta * (log_ratio_w - log_ratio_l)).mean()


def ipo_loss(log_ratio_w: Tensor, log_ratio_l: Tensor, beta: float) -> Tensor:
    """(D_w − D_l − 1/(2β))², IPO eq. 17; () from two (P,)."""
    return (log_ratio_w - log_ratio_l - 1 / (2 * beta)).square().mean()


@dataclass(frozen=True)
class DPO(OfflineMethod):
    """Direct preference optimisation.

    Attributes:
        beta: strength of the pull towards the reference.
        objective: "sigmoid" (DPO) or "ipo".
        pairing: how pairs are made from scored responses; see ``trainers.pairs``.
    """

    beta: float = 0.1
    objective: Literal["sigmoid", "ipo"] = "sigmoid"
    pairing: Pairing = "best_worst"

    name: ClassVar[str] = "dpo"
    title: ClassVar[str] = "Direct preference optimisation"
    paper: ClassVar[str] = "arXiv 2305.18290"
    equation: ClassVar[str] = "L = −E log σ(β (D_w − D_l));  IPO: E (D_w − D_l − 1/(2β))²"
    axes: ClassVar[Axes] = Axes(
        "prompts of the data",
        "better and worse logged response",
        "±βσ(β(D_l − D_w));  IPO: ±(1/β − 2(D_w − D_l))",
    )
    strength_name: ClassVar[str] = "beta"
    default_strengths: ClassVar[tuple[float, ...]] = (1.0, 0.5, 0.2, 0.1, 0.05)

    @classmethod
    def ipo(cls) -> Self:
        """IPO: the squared loss on the same pairs."""
        return cls(objective="ipo")

    @property
    def needs(self) -> frozenset[Need]:
        """Pairs."""
        return frozenset({Need.REWARD, Need.PAIR})

    def pairs(self, examples: Examples) -> NDArray[np.int64]:
        """(better, worse) rows; (M, 2)."""
        return make_pairs(examples, self.pairing)

    def loss(self, batch: Batch) -> LossOutput:
        """The loss on P pairs, the better rows first."""
        better, worse = batch.log_ratio.chunk(2)  # (P,), (P,)
        function = dpo_loss if self.objective == "sigmoid" else ipo_loss
        logged = {
            "log_ratio_chosen": better.detach().mean(),
            "log_ratio_rejected": worse.detach().mean(),
            "accuracy": (better > worse).float().mean(),
        }
        return LossOutput(function(better, worse, self.beta), logged)

    def coefficient(self, batch: Batch) -> Tensor:
        """±βσ(β(D_l − D_w)), or IPO's ±(1/β − 2(D_w − D_l)); (2P,)."""
        better, worse = batch.log_ratio.detach().chunk(2)
        margin = better - worse
        if self.objective == "sigmoid":
            pull = self.beta * torch.sigmoid(-self.beta * margin)
        else:
            pull = 1 / self.beta - 2 * margin
        return torch.cat([pull, -pull])
