"""Passes of the policy and the reference over the rollouts of one iteration."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from trainers.groups import Group
from trainers.inputs import ModelInputs, TokenLayout, collate
from trainers.precision import DType, autocast
from trainers.ranks import ALONE, Ranks
from trainers.recomputing import recomputing


@dataclass(frozen=True)
class Passes:
    """An iteration's inputs (N rows, whole groups after each other) and how they are cut for memory.

    Attributes:
        inputs: of all N rows.
        dtype: the number format of a pass.
        group_size: rows of a group.
        minibatches: steps that share the rows.
        tokens: most tokens of a pass, padding included, at least one group's; None: no limit.
        recomputed: layers of policy and critic under gradient checkpointing.
        ranks: the processes that share the work.
    """

    inputs: ModelInputs
    dtype: DType
    group_size: int
    minibatches: int
    tokens: int | None = None
    recomputed: Sequence[nn.Module] = ()
    ranks: Ranks = ALONE

    @classmethod
    def of(
        cls,
        groups: Sequence[Group],
        layout: TokenLayout,
        device: torch.device,
        dtype: DType,
        minibatches: int,
        tokens: int | None = None,
        recomputed: Sequence[nn.Module] = (),
        ranks: Ranks = ALONE,
    ) -> "Passes":
        """Collates the groups' prompts and responses."""
        prompts = [group.prompt for group in groups for _ in group.responses]
        responses = [response for group in groups for response in group.responses]
        inputs = collate(prompts, responses, layout).to(device)
        # In bfloat16 a sequence's numbers would depend, by rounding, on those that share its row in a pass.
        if layout.packed and device.type == "cpu" and dtype == "float32":
            inputs = replace(inputs, sharing=layout)
        size = len(groups[0].responses)
        return cls(inputs, dtype, size, min(minibatches, len(groups)), tokens, recomputed, ranks)

    def score(self, function: Callable[[ModelInputs], Tensor], most: int) -> Tensor:
        """What the function says of all rows, without gradients; (N, …).

        In bfloat16 the pass records gradients as a step does, and drops them: torch chooses other kernels
        without (for T5's trained position bias, say), and their rounding would move the ratio off 1.

        Args:
            function: gives numbers of some rows; (b, …).
            most: rows of a pass, at least one group.
        """
        device = self.inputs.labels.device
        groups = len(self.inputs.labels) // self.group_size
        rows = self.group_size * -(-groups // self.minibatches)
        steps = torch.arange(len(self.inputs.labels)).split(rows)
        recording = torch.set_grad_enabled(self.dtype != "float32")
        found: list[tuple[Tensor, Tensor]] = []
        with recording, autocast(self.dtype, device), recomputing(self.recomputed):
            for step in steps:
                for part, counts in self.parts(step, most):
                    numbers = function(self.select(part)).detach()
                    found += [(part, numbers)] if counts else []
        return self._gathered(found)

    def _gathered(self, found: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """The numbers of all rows, in order, from those of each rank's parts."""
        if self.ranks.alone:
            return torch.cat([numbers for _, numbers in found])
        device = self.inputs.labels.device
        everyone = self.ranks.every([(part, numbers.cpu()) for part, numbers in found])
        places = torch.cat([part for each in everyone for part, _ in each])
        numbers = torch.cat([numbers for each in everyone for _, numbers in each])
        return numbers[places.argsort()].to(device)

    def parts(self, rows: Tensor, most: int) -> list[tuple[Tensor, bool]]:
        """This rank's share of rows in micro-batches of whole groups, and whether each counts.

        Args:
            rows: whole groups, one after the other.
            most: rows of a micro-batch.
        """
        size = self.group_size
        if self.tokens is not None:
            width = sum(ids.shape[1] for name, ids in self.inputs.forward.items() if name.endswith("_ids"))
            most = min(most, self.tokens // width)
        groups = rows.view(-1, size)
        own = groups[self.ranks.share(len(groups))].flatten()
        parts = own.split(max(1, most // size) * size) if len(own) else []
        return self.ranks.in_step(parts, groups[0])

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
