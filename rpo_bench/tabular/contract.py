"""Checks the two properties that the trainers rely on, at a policy away from the reference."""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from rpo_bench.tabular.fixed_point import one_batch
from rpo_bench.tabular.world import World
from trainers.objective import Batch, OfflineMethod
from trainers.prepare import PreparedRows

_TOLERANCE = 1e-8


@dataclass(frozen=True)
class Contract:
    """A method's errors in these properties; 0 up to rounding.

    Attributes:
        coefficient_error: largest difference between the declared coefficient and autograd's, relative to
            the largest coefficient; None if a method declares no function for it (online methods).
        split_error: relative difference between the loss and the mean over two parts of the batch.
    """

    coefficient_error: float | None
    split_error: float

    @property
    def coefficient_holds(self) -> bool:
        """Whether −∇loss is (1/U) Σ GC ∇log π with the declared GC."""
        return self.coefficient_error is None or self.coefficient_error <= _TOLERANCE

    @property
    def split_holds(self) -> bool:
        """Whether micro-batches, given the statistic, don't affect the loss."""
        return self.split_error <= _TOLERANCE


def check_contract(method: OfflineMethod, rows: PreparedRows, world: World) -> Contract:
    """Checks the method's functions against each other on all rows, under a random policy."""
    generator = torch.Generator().manual_seed(0)
    bump = torch.randn(world.rewards.shape, generator=generator, dtype=torch.float64)
    batch = one_batch(method, rows, world, torch.tensor(world.log_reference) + bump)
    policy = batch.policy_logps.detach().requires_grad_(True)
    batch = dataclasses.replace(batch, policy_logps=policy)
    loss = method.loss(batch).loss
    (gradient,) = torch.autograd.grad(loss, policy)
    pull = -gradient * len(rows.units)
    error = (method.coefficient(batch) - pull).abs().max() / pull.abs().max().clamp(min=1e-12)
    whole, split = float(loss.detach()), _in_two_parts(method, batch, rows.units.shape[1])
    return Contract(float(error), abs(split - whole) / max(abs(whole), 1e-12))


@torch.no_grad()
def _in_two_parts(method: OfflineMethod, batch: Batch, width: int) -> float:
    """The loss as the mean over the first third of the units and the rest, weighted by their numbers."""
    index = torch.arange(len(batch.reward)).view(width, -1)
    cut = max(1, index.shape[1] // 3)
    parts = [index[:, :cut].flatten(), index[:, cut:].flatten()]
    losses = [float(method.loss(_take(batch, rows)).loss) * len(rows) for rows in parts if len(rows)]
    return sum(losses) / index.numel()


def _take(batch: Batch, rows: Tensor) -> Batch:
    """Some rows, with the statistic and its inputs unchanged."""
    whole = {"statistic", "partner_log_ratio"}
    columns = {field.name: getattr(batch, field.name) for field in dataclasses.fields(Batch)}
    taken = {n: v if v is None or n in whole else v[rows] for n, v in columns.items()}
    return Batch(**taken)
