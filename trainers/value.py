"""The separate value network V(x) of DRO-V."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainers.equal_lengths import groups_of
from trainers.inputs import TokenLayout, pad


class ValueNetwork(nn.Module):
    """A scalar head on a copy of the reference's body; it shares no weight with the policy.

    Sharing costs DRO most of its gain (win rate 76.6 % → 55–58 %, arXiv 2405.19107). The head starts at zero,
    so V = 0, the mean of z-scored rewards, before training.
    """

    def __init__(self, reference: Any) -> None:
        """Copies the encoder of an encoder-decoder model, the whole body of a decoder-only one."""
        super().__init__()
        body = reference.get_encoder() if reference.config.is_encoder_decoder else reference.base_model
        self.body = copy.deepcopy(body)
        self.body.requires_grad_(True)
        width = reference.get_input_embeddings().weight.shape[1]
        self.head = nn.Linear(width, 1).to(next(self.body.parameters()).device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, prompts: Sequence[Sequence[int]], layout: TokenLayout) -> Tensor:
        """V(x) of B prompts, read at the prompt's last token; (B,) float32."""
        if layout.equal_lengths:
            groups = groups_of([len(prompt) for prompt in prompts])
            found = torch.cat([self._values([prompts[i] for i in part], layout) for part in groups])
            places = torch.tensor([i for part in groups for i in part], device=found.device)
            return found[places.argsort()]
        return self._values(prompts, layout)

    def _values(self, prompts: Sequence[Sequence[int]], layout: TokenLayout) -> Tensor:
        ids, mask = pad(prompts, layout.pad_id)
        device = self.head.weight.device
        ids, mask = ids.to(device), mask.to(device)
        hidden = self.body(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, P, d)
        last = hidden[torch.arange(len(prompts), device=device), mask.sum(dim=1) - 1]  # (B, d)
        values: Tensor = self.head(last).squeeze(-1).float()
        return values.clone()  # FSDP2 warns of an output that is a view
