"""POPO: groups without reward variance are replaced by replayed ones, off-policy as they are.

arXiv 2606.01281.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from trainers.grpo import GRPO
from trainers.objective import Axes
from trainers.online import Rollouts


@dataclass(frozen=True)
class POPO(GRPO):
    """GRPO whose degenerate groups are replaced by the most recent effective groups of a small buffer.

    The behaviour policy (which sampled) and the proximal policy (centre of the trust region) are separate:
    the gain is (π_prox/π_behav) · min((π_θ/π_prox) A, clip(·) A). The paper's exact loss was not available;
    this follows its description per token, with a capped weight.

    Attributes:
        buffer_groups: how many effective groups are kept, the oldest leaving first.
        max_age: iterations after which a group is no longer replayed.
        weight_cap: of π_prox/π_behav per token.
        replay_as_on_policy: the ablation: treats replayed groups as if the current policy had sampled them.
    """

    buffer_groups: int = 32
    max_age: int = 8
    weight_cap: float = 2.0
    replay_as_on_policy: bool = False

    name: ClassVar[str] = "popo"
    title: ClassVar[str] = "Group prioritised off-policy optimisation"
    paper: ClassVar[str] = "arXiv 2606.01281"
    equation: ClassVar[str] = "J = E[(π_prox/π_behav)·min(ρA, clip(ρ)A) − β k3],  ρ = π_θ/π_prox"
    axes: ClassVar[Axes] = Axes(
        "prompts", "groups from the policy and replayed groups", "(π_prox/π_behav)·clip·ρ·A, per token"
    )

    @classmethod
    def on_policy_replay(cls) -> Self:
        """The ablation that treats replay as on-policy."""
        return cls(replay_as_on_policy=True)

    @property
    def replay_groups(self) -> int:
        """Size of the buffer."""
        return self.buffer_groups

    def off_policy_weight(self, rollouts: Rollouts) -> Tensor | float:
        """π_prox/π_behav per token, 1 for fresh rollouts, capped; (b, T)."""
        if self.replay_as_on_policy:
            return 1.0
        return (rollouts.proximal_logps - rollouts.behaviour_logps).exp().clamp(max=self.weight_cap)
