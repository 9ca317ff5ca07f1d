"""DPO and its relatives: each a line of configuration of ``trainers.pairwise``."""

from dataclasses import dataclass
from typing import ClassVar

from trainers.errors import UserError
from trainers.objective import Axes
from trainers.pairs import Pairing
from trainers.pairwise import Link, Pairwise, Score, Smoothing

_PROMPTS = "prompts of the data"
_RESPONSES = "better and worse logged response"


@dataclass(frozen=True)
class DPO(Pairwise):
    """Direct preference optimisation; its options make any other member of the family."""

    name: ClassVar[str] = "dpo"
    title: ClassVar[str] = "Direct preference optimisation"
    paper: ClassVar[str] = "arXiv 2305.18290"
    equation: ClassVar[str] = "L = −E log σ(β (D_w − D_l))"
    axes: ClassVar[Axes] = Axes(_PROMPTS, _RESPONSES, "±βσ(β(D_l − D_w))")
    strength_name: ClassVar[str] = "beta"
    default_strengths: ClassVar[tuple[float, ...]] = (1.0, 0.5, 0.2, 0.1, 0.05)


@dataclass(frozen=True)
class IPO(DPO):
    """The squared loss: the log-ratios' difference is to be 1/(2β)."""

    objective: Link = "ipo"

    name: ClassVar[str] = "ipo"
    title: ClassVar[str] = "Identity preference optimisation"
    paper: ClassVar[str] = "arXiv 2310.12036"
    equation: ClassVar[str] = "L = E (D_w − D_l − 1/(2β))²"
    axes: ClassVar[Axes] = Axes(_PROMPTS, _RESPONSES, "±(1/β − 2(D_w − D_l))")


@dataclass(frozen=True)
class SLiC(DPO):
    """The hinge loss of sequence likelihood calibration, on log-ratios."""

    objective: Link = "hinge"

    name: ClassVar[str] = "slic"
    title: ClassVar[str] = "Sequence likelihood calibration, on log-ratios"
    paper: ClassVar[str] = "arXiv 2305.10425, 2309.06657"
    equation: ClassVar[str] = "L = E max(0, 1 − β (D_w − D_l))"
    axes: ClassVar[Axes] = Axes(_PROMPTS, _RESPONSES, "±β where β(D_w − D_l) < 1")


@dataclass(frozen=True)
class ConservativeDPO(DPO):
    """DPO whose labels are wrong with probability ε."""

    label_smoothing: float = 0.1

    name: ClassVar[str] = "cdpo"
    title: ClassVar[str] = "Conservative DPO"
    paper: ClassVar[str] = "E. Mitchell, 2023"
    equation: ClassVar[str] = "L = −E[(1 − ε) log σ(u) + ε log σ(−u)],  u = β (D_w − D_l)"
    axes: ClassVar[Axes] = Axes(_PROMPTS, _RESPONSES, "±β(1 − ε − σ(β(D_w − D_l)))")


@dataclass(frozen=True)
class RobustDPO(ConservativeDPO):
    """DPO with the unbiased correction for labels that are wrong with probability ε."""

    smoothing: Smoothing = "robust"

    name: ClassVar[str] = "robust-dpo"
    title: ClassVar[str] = "Provably robust DPO"
    paper: ClassVar[str] = "arXiv 2403.00409"
    equation: ClassVar[str] = "L = −E[(1 − ε) log σ(u) − ε log σ(−u)] / (1 − 2ε),  u = β (D_w − D_l)"
    axes: ClassVar[Axes] = Axes(_PROMPTS, _RESPONSES, "±β(σ(β(D_l − D_w)) + ε/(1 − 2ε))")


@dataclass(frozen=True)
class LengthRegularisedDPO(DPO):
    """DPO for a reward with α per token taken off."""

    length_penalty: float = 0.02

    name: ClassVar[str] = "r-dpo"
    title: ClassVar[str] = "Length-regularised DPO"
    paper: ClassVar[str] = "arXiv 2403.19159"
    equation: ClassVar[str] = "L = −E log σ(u),  u = β (D_w − D_l) + α (|y_w| − |y_l|)"
    axes: ClassVar[Axes] = Axes(_PROMPTS, _RESPONSES, "±βσ(−u)")


@dataclass(frozen=True)
class LengthNormalisedDPO(DPO):
    """DPO on log-ratios per token."""

    beta: float = 2.0
    score: Score = "mean_log_ratio"

    name: ClassVar[str] = "ln-dpo"
    title: ClassVar[str] = "Length-normalised DPO"
    paper: ClassVar[str] = "arXiv 2411.15124"
    equation: ClassVar[str] = "L = −E log σ(u),  u = β (D_w/|y_w| − D_l/|y_l|)"
    axes: ClassVar[Axes] = Axes(_PROMPTS, _RESPONSES, "±βσ(−u)/|y|")
    default_strengths: ClassVar[tuple[float, ...]] = (20.0, 10.0, 5.0, 2.0, 1.0)


@dataclass(frozen=True)
class SimPO(DPO):
    """Log-probabilities per token with a margin, without a reference; ``target_margin`` is its γ/β."""

    beta: float = 2.0
    score: Score = "mean_logp"
    target_margin: float = 0.5

    name: ClassVar[str] = "simpo"
    title: ClassVar[str] = "Simple preference optimisation"
    paper: ClassVar[str] = "arXiv 2405.14734"
    equation: ClassVar[str] = "L = −E log σ(u),  u = β (log π(y_w)/|y_w| − log π(y_l)/|y_l|) − γ"
    axes: ClassVar[Axes] = Axes(_PROMPTS, _RESPONSES, "±βσ(−u)/|y|")
    default_strengths: ClassVar[tuple[float, ...]] = (20.0, 10.0, 5.0, 2.0, 1.0)

    def __post_init__(self) -> None:
        """Refuses a margin beyond the paper's range."""
        super().__post_init__()
        if self.target_margin > 1:
            raise UserError(
                f"{self.name}: target_margin is γ/β, from 0 to 1 nats per token, not {self.target_margin:g}."
            )


@dataclass(frozen=True)
class RewardAwareDPO(DPO):
    """DPO whose labels are as sure as the rewards' difference says; its paper calls it RPO.

    Pairs don't select by reward: a label of one half teaches as much as one of nearly 1.
    """

    pairing: Pairing = "adjacent"
    reward_label: float = 1.0

    name: ClassVar[str] = "reward-aware-dpo"
    title: ClassVar[str] = "Reward-aware preference optimisation"
    paper: ClassVar[str] = "arXiv 2502.00203, 2406.11704"
    equation: ClassVar[str] = (
        "L = −E[p log σ(u) + (1 − p) log σ(−u)],  u = β (D_w − D_l),  p = σ(η (r_w − r_l))"
    )
    axes: ClassVar[Axes] = Axes(_PROMPTS, _RESPONSES, "±β(σ(η(r_w − r_l)) − σ(β(D_w − D_l)))")
    zscore_rewards: ClassVar[bool] = True


@dataclass(frozen=True)
class PositiveDPO(DPO):
    """DPO with a penalty on better responses that fall below their reference."""

    positive_penalty: float = 5.0

    name: ClassVar[str] = "dpop"
    title: ClassVar[str] = "DPO-positive"
    paper: ClassVar[str] = "arXiv 2402.13228"
    equation: ClassVar[str] = "L = −E log σ(u),  u = β (D_w − D_l − λ max(0, −D_w))"
    axes: ClassVar[Axes] = Axes(_PROMPTS, _RESPONSES, "βσ(−u)(1 + λ[D_w < 0]), −βσ(−u)")


@dataclass(frozen=True)
class SupervisedDPO(DPO):
    """DPO with the better response's likelihood beside it; TRL calls it RPO."""

    sft_weight: float = 1.0

    name: ClassVar[str] = "dpo-sft"
    title: ClassVar[str] = "DPO with a supervised term"
    paper: ClassVar[str] = "arXiv 2404.19733, 2405.16436"
    equation: ClassVar[str] = "L = −E[log σ(β (D_w − D_l)) + c log π(y_w)/|y_w|]"
    axes: ClassVar[Axes] = Axes(_PROMPTS, _RESPONSES, "±βσ(β(D_l − D_w)), and c/|y_w| for the better one")


@dataclass(frozen=True)
class ORPO(DPO):
    """Odds ratios and a supervised term, without a reference; ``sft_weight`` is 1/λ of the paper."""

    beta: float = 1.0
    score: Score = "log_odds"
    sft_weight: float = 10.0

    name: ClassVar[str] = "orpo"
    title: ClassVar[str] = "Odds ratio preference optimisation"
    paper: ClassVar[str] = "arXiv 2403.07691"
    equation: ClassVar[str] = (
        "L = −E[log σ(o_w − o_l) + c log P_w],  o = log P/(1 − P),  log P = log π(y)/|y|"
    )
    axes: ClassVar[Axes] = Axes(_PROMPTS, _RESPONSES, "±σ(o_l − o_w)/(|y|(1 − P)), and c/|y_w|")
    strength_name: ClassVar[str] = "sft_weight"
    default_strengths: ClassVar[tuple[float, ...]] = (20.0, 10.0, 4.0, 2.0, 1.0)
