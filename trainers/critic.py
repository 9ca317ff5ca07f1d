"""PPO's critic: V of the state before each response token, a network of its own."""

import copy
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from trainers.equal_lengths import by_length
from trainers.head import last_logits_only
from trainers.inputs import ModelInputs
from trainers.logps import aligned
from trainers.packing import PackedInputs
from trainers.shared_rows import as_wide, shared_rows


@dataclass(frozen=True)
class RewardStart:
    """A reward model that a critic may start as.

    Attributes:
        classifier: a sequence classifier with one label, of the policy's architecture and tokens.
        centre: what is taken off its scores.
    """

    classifier: Any
    centre: float = 0.0


class Critic(nn.Module):
    """A scalar head on a copy of the reference or reward model; it shares no weight with the policy."""

    def __init__(self, reference: Any) -> None:
        """Copies the reference; the head starts at zero, so V = 0."""
        super().__init__()
        self.equal_lengths = False  # whether it reads its padding
        self.shares_rows = False  # whether it keeps sequences that share a row apart
        self.body = copy.deepcopy(reference)
        self.body.requires_grad_(True)
        width = reference.get_input_embeddings().weight.shape[1]
        self.head = nn.Linear(width, 1).to(next(self.body.parameters()).device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @classmethod
    def of_reward_model(cls, start: RewardStart) -> Self:
        """Copies a reward model: V before a token is its score of the text so far.

        Its last layer is taken over where it is linear in the hidden state (causal classifiers); where it
        isn't (encoder-decoders have a tanh between), the head starts at zero.
        """
        critic = cls(start.classifier.base_model)
        score = getattr(start.classifier, "score", None)
        if isinstance(score, nn.Linear) and score.out_features == 1:
            with torch.no_grad():
                critic.head.weight.copy_(score.weight)
                bias = 0.0 if score.bias is None else float(score.bias)
                critic.head.bias.fill_(bias - start.centre)
        return critic

    def forward(self, inputs: ModelInputs) -> Tensor:
        """V before each response token; (B, T) float32, zero beyond the end."""
        if inputs.equal_lengths or self.equal_lengths:
            return by_length(inputs, self._values)
        return self._values(inputs)

    def _values(self, inputs: ModelInputs) -> Tensor:
        packed = shared_rows(self.body, inputs) if self.shares_rows else None
        if packed is None:
            values: Tensor = self.head(self._hidden(inputs)).squeeze(-1).float()
            return aligned(values, inputs)
        values = self.head(self._packed_hidden(packed)).squeeze(-1).float()
        return as_wide(packed.by_sequence(values), inputs)

    def features(self, inputs: ModelInputs) -> Tensor:
        """A number of the hidden state that a value is read from, whatever the head is; (B, T)."""
        return aligned(_feature(self._hidden(inputs)), inputs)

    def packed_features(self, packed: PackedInputs) -> Tensor:
        """``features`` of sequences that share rows; (B, T)."""
        return packed.by_sequence(_feature(self._packed_hidden(packed)))

    def _packed_hidden(self, packed: PackedInputs) -> Tensor:
        """The hidden states that predict response tokens; (n, d)."""
        output = self._read(packed.forward)
        states = getattr(output, "decoder_hidden_states", None) or output.hidden_states
        hidden: Tensor = states[-1].flatten(0, 1)  # (R · W, d)
        return hidden.index_select(0, packed.places)

    def _hidden(self, inputs: ModelInputs) -> Tensor:
        output = self._read(inputs.forward)
        if inputs.kept is None:
            hidden: Tensor = output.decoder_hidden_states[-1]  # (B, T, d)
        else:
            hidden = output.hidden_states[-1][:, inputs.kept]  # (B, L, d)
        return hidden

    def _read(self, forward: dict[str, Any]) -> Any:
        with last_logits_only(self.body):  # none are used
            return self.body(**forward, output_hidden_states=True, use_cache=False)

    def trained_parameters(self) -> list[nn.Parameter]:
        """Those that a value depends on (the language-model head isn't one)."""
        output = self.body.get_output_embeddings()
        tied = self.body.get_input_embeddings().weight
        unused = set() if output is None or output.weight is tied else {id(output.weight)}
        return [p for p in self.parameters() if id(p) not in unused]


def _feature(hidden: Tensor) -> Tensor:
    """A number of each hidden state; (…) from (…, d)."""
    return hidden.float() @ torch.linspace(-1, 1, hidden.shape[-1], device=hidden.device)


@torch.no_grad()
def values_of(critic: Critic, inputs: ModelInputs) -> Tensor:
    """V without gradient; (B, T)."""
    found: Tensor = critic(inputs)
    return found
