"""Passes of the policy and the reference over the rollouts of one iteration."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from trainers.groups import Group
from trainers.inputs import ModelInputs, TokenLayout, collate
from trainers.memory import halving
from trainers.precision import DType, autocast
from trainers.recomputing import recomputing


@dataclass(frozen=True)
class Passes:
    """An iteration's inputs (N rows, whole groups after each other) and how they are cut for memory.

    Attributes:
        inputs: of all N rows.
        dtype: the number format of a pass.
        group_size: rows of a group.
        micro_batch: most rows of a pass, at least one group; None for all rows of a step.
        minibatches: steps that share the rows.
        tokens: most tokens of a pass, padding included, at least one group's; None: no limit.
        recomputed: layers of policy and critic under gradient checkpointing.
    """

    inputs: ModelInputs
    dtype: DType
    group_size: int
    micro_batch: int | None
    minibatches: int
    tokens: int | None = None
    recomputed: Sequence[nn.Module] = ()

    @classmethod
    def of(
        cls,
        groups: Sequence[Group],
        layout: TokenLayout,
        device: torch.device,
        dtype: DType,
        micro_batch: int | None,
        minibatches: int,
        tokens: int | None = None,
    ) -> "Passes":
        """Collates the groups' prompts and responses."""
        prompts = [group.prompt for group in groups for _ in group.responses]
        responses = [response for group in groups for response in group.responses]
        inputs = collate(prompts, responses, layout).to(device)
        # In bfloat16 a sequence's numbers would depend, by rounding, on those that share its row in a pass.
        if layout.packed and device.type == "cpu" and dtype == "float32":
            inputs = replace(inputs, sharing=layout)
        size = len(groups[0].responses)
        return cls(inputs, dtype, size, micro_batch, min(minibatches, len(groups)), tokens)

    def score(self, function: Callable[[ModelInputs], Tensor]) -> Tensor:
        """What the function says of all rows, without gradients; (N, …).

        In bfloat16 the pass records gradients as a step does, and drops them: torch chooses other kernels
        without (for T5's trained position bias, say), and their rounding would move the ratio off 1.
        """
        device = self.inputs.labels.device
        groups = len(self.inputs.labels) // self.group_size
        rows = self.group_size * -(-groups // self.minibatches)
        steps = torch.arange(len(self.inputs.labels)).split(rows)
        recording = torch.set_grad_enabled(self.dtype != "float32")
        with recording, autocast(self.dtype, device), recomputing(self.recomputed):
            found = [function(self.select(part)).detach() for step in steps for part in self.parts(step)]
        return torch.cat(found)

    def parts(self, rows: Tensor) -> Sequence[Tensor]:
        """Rows in micro-batches of whole groups."""
        size, most = self.group_size, self.micro_batch or len(rows)
        if self.tokens is not None:
            width = sum(ids.shape[1] for name, ids in self.inputs.forward.items() if name.endswith("_ids"))
            most = min(most, self.tokens // width)
        found: Sequence[Tensor] = rows.split(max(1, most // size) * size)
        return found

    def fitting(self, function: Callable[[ModelInputs], Tensor]) -> tuple[Tensor, "Passes"]:
        """``score``, and these passes with the micro-batches that memory has room for."""
        given = self.micro_batch or len(self.inputs.labels)
        found, size = halving(
            given, self.group_size, lambda size: replace(self, micro_batch=size).score(function)
        )
        return found, self if size == given else replace(self, micro_batch=size)

    def select(self, rows: Tensor) -> ModelInputs:
        """The inputs at ``rows``."""
        rows = rows.to(self.inputs.labels.device)
        return replace(
            self.inputs,
            forward={name: tensor[rows] for name, tensor in self.inputs.forward.items()},
            labels=self.inputs.labels[rows],
            offsets=self.inputs.offsets[rows],
            response_mask=self.inputs.response_mask[rows],
        )
