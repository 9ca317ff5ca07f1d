"""The processes ("ranks") that train one model together: who does what, and what they tell each other."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

_Item = TypeVar("_Item")

#: Ranks wait for each other while one probes or saves; a rank that has died ends the others at once.
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Ranks:
    """This process among those that train a model.

    All of them run the same code. Each computes its share of every batch, and all come to the same numbers.

    Attributes:
        rank: of this process, from 0.
        count: how many there are.
        sharded: whether each keeps a part of the weights (FSDP2), or all keep all of them.
    """

    rank: int = 0
    count: int = 1
    sharded: bool = False

    @property
    def alone(self) -> bool:
        """Whether there is one process only."""
        return self.count == 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes logs and checkpoints."""
        return self.rank == 0

    @property
    def may_retry(self) -> bool:
        """Whether a pass whose memory ran out may be tried again here.

        Others may wait for it, and FSDP2 is left in the middle of a backward pass: all start again then.
        """
        return self.alone and not self.sharded

    @property
    def gradient_factor(self) -> float:
        """What a loss is multiplied by: FSDP2 averages gradients over ranks, and they are to be added."""
        return float(self.count) if self.sharded else 1.0

    def share(self, length: int) -> slice:
        """This rank's part of so many items, in order; the parts differ by one item at most."""
        ends = [length * rank // self.count for rank in (self.rank, self.rank + 1)]
        return slice(*ends)

    def every(self, value: _Item) -> list[_Item]:
        """The values of all ranks, by rank."""
        if self.alone:
            return [value]
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, value)
        return found

    def from_first(self, value: _Item) -> _Item:
        """The first rank's value."""
        return self.every(value if self.first else None)[0]  # type: ignore[return-value]

    def rows(self, part: Tensor) -> Tensor:
        """The rows (n, …) of all ranks, one after the other, without gradients; (N, …)."""
        if self.alone:
            return part
        return torch.cat(self.every(part.detach().cpu())).to(part.device)

    def totals(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The sum over ranks of each number."""
        if self.alone:
            return dict(numbers)
        found: dict[str, float] = {}
        for part in self.every(dict(numbers)):
            for name, number in part.items():
                found[name] = found.get(name, 0.0) + number
        return found

    def in_step(self, parts: Sequence[_Item], spare: _Item) -> list[tuple[_Item, bool]]:
        """This rank's parts of a batch, and whether each counts.

        Where weights are sharded, every pass of one rank waits for a pass of the others. So all make as many
        as the one with the most parts; those beyond a rank's own don't count.

        Args:
            parts: of this rank.
            spare: what a pass that doesn't count computes.
        """
        own = [(part, True) for part in parts]
        if not self.sharded:
            return own
        return own + [(spare, False)] * (max(self.every(len(parts))) - len(parts))


#: A process that trains by itself.
ALONE = Ranks()


@contextmanager
def joined(ranks: Ranks, store: Path, device: torch.device) -> Iterator[Ranks]:
    """A block in which the ranks of one machine hear each other.

    Args:
        ranks: this process's place.
        store: a file, which doesn't exist yet, by which they find each other.
        device: of the model.
    """
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend,
        store=dist.FileStore(str(store), ranks.count),  # type: ignore[attr-defined]
        rank=ranks.rank,
        world_size=ranks.count,
        timeout=_PATIENCE,
    )
    try:
        yield ranks
    finally:
        dist.destroy_process_group()
