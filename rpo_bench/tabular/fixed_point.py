"""The fixed point of a method's loss for a tabular policy: full batches and exact gradients."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpo_bench.stats.arrays import Floats
from rpo_bench.tabular.logged import cells
from rpo_bench.tabular.world import World, total_variation
from trainers.objective import Batch, Need, OfflineMethod
from trainers.prepare import PreparedRows

ROUNDS = 3  # at most
STEPS = 150  # in a round
LEARNING_RATES = (0.3, 0.1)  # likewise
AT_REST = 1e-3  # total variation between two rounds


@dataclass(frozen=True)
class FixedPoint:
    """A policy after training.

    Attributes:
        logps: log π_θ(y|x); (X, Y).
        loss: the last one.
        drift: how far the last round of steps still moved the policy, in total variation; NaN when the
            loss stopped being finite.
    """

    logps: Floats
    loss: float
    drift: float

    @property
    def at_rest(self) -> bool:
        """Whether training converged within its budget."""
        return self.drift <= AT_REST


@dataclass(frozen=True)
class _Table:
    """Indices into the tables for one full batch: its B rows in the order of units."""

    batch: Batch  # everything constant
    where: Tensor  # of the row in the flattened (X, Y) table; (B,)
    prompt: Tensor  # (B,)
    partner: Tensor | None  # where the mismatched pair (x_i, y_j) stands; (B,)
    log_reference: Tensor  # (X · Y,)

    def read(self, method: OfflineMethod, logits: Tensor, values: Tensor) -> Batch:
        """The batch under the policy softmax(logits), with the method's statistic of it."""
        logps = torch.log_softmax(logits, dim=1).flatten()
        batch = dataclasses.replace(self.batch, policy_logps=logps.index_select(0, self.where))
        if Need.VALUE in method.needs:
            batch = dataclasses.replace(batch, value=values.index_select(0, self.prompt))
        if self.partner is not None:
            log_ratio = (logps.detach() - self.log_reference)[self.partner]
            batch = dataclasses.replace(batch, partner_log_ratio=log_ratio)
        with torch.no_grad():
            statistic = method.statistic(batch)
        return dataclasses.replace(batch, statistic=statistic)


def fixed_point(method: OfflineMethod, rows: PreparedRows, world: World) -> FixedPoint:
    """Trains from π_ref by Adam in float64, in rounds, until a round no longer changes the policy.

    Args:
        method: its ``loss`` is minimised; only the gradient counts, so a stop-gradient is respected.
        rows: prepared by ``trainers.prepare`` from ``log_responses``.
        world: the tabular problem, for π_ref.
    """
    table = _table(method, rows, world)
    logits = torch.tensor(world.log_reference, requires_grad=True)  # (X, Y)
    values = torch.zeros(len(world.rewards), dtype=torch.float64, requires_grad=True)  # (X,)
    before, drift, loss = world.log_reference, math.inf, math.nan
    for number in range(ROUNDS):
        later = min(number, 1)
        loss = _round(method, table, [logits, values], LEARNING_RATES[later])
        after: Floats = torch.log_softmax(logits.detach(), dim=1).numpy()
        if not math.isfinite(loss) or not np.isfinite(after).all():
            return FixedPoint(before, loss, math.nan)
        drift = total_variation(before, after)
        before = after
        if drift <= AT_REST:
            break
    return FixedPoint(before, loss, drift)


def one_batch(method: OfflineMethod, rows: PreparedRows, world: World, logits: Tensor) -> Batch:
    """The batch of all rows under the policy softmax(logits), for checks of a method's functions."""
    values = torch.linspace(-0.5, 0.5, len(world.rewards), dtype=torch.float64)
    return _table(method, rows, world).read(method, logits, values)


def _round(method: OfflineMethod, table: _Table, parameters: list[Tensor], rate: float) -> float:
    """Adam with a rate that falls to zero by a cosine; the last loss."""
    optimiser = torch.optim.Adam(parameters, lr=rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    loss = math.nan
    for _ in range(STEPS):
        optimiser.zero_grad()
        total = method.loss(table.read(method, *parameters)).loss
        loss = float(total.detach())
        if not math.isfinite(loss):
            return loss
        total.backward()
        optimiser.step()
        schedule.step()
    return loss


def _table(method: OfflineMethod, rows: PreparedRows, world: World) -> _Table:
    xs, ys = cells(rows.examples)
    width, units, partner = world.rewards.shape[1], rows.units, None
    if Need.KL_PARTNER in method.needs:
        # Rows are ordered by prompt: rolling by one prompt's rows pairs each prompt with another's response.
        own = units.T.ravel()
        strangers = np.roll(ys[own], len(own) // len(world.rewards))
        partner = torch.as_tensor(xs[own] * width + strangers)
    else:
        units = _fewest(rows, xs * width + ys)
    order = units.T.ravel()  # a pair's first rows, then its second ones
    examples = rows.examples

    def column(values: Floats) -> Tensor:
        return torch.as_tensor(values[order], dtype=torch.float64)

    reference = column(rows.reference_logps)
    batch = Batch(
        policy_logps=reference,
        reference_logps=reference,
        lengths=column(rows.lengths),
        reward=column(examples.rewards),
        desirable=None if examples.desirable is None else torch.as_tensor(examples.desirable[order]),
        log_partition=None if rows.log_partition is None else column(rows.log_partition),
    )
    return _Table(
        batch,
        torch.as_tensor((xs * width + ys)[order]),
        torch.as_tensor(xs[order]),
        partner,
        torch.as_tensor(world.log_reference.ravel()),
    )


def _fewest(rows: PreparedRows, where: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fewest units in the same proportions, with the same mean as all units.

    Units are of one kind if the loss can't distinguish them. If every kind occurs a multiple of m times, one
    m-th of each is enough. For K = 1 or ∞ this reduces thousands of rows to a few hundred.
    """
    columns: list[NDArray[Any]] = [where, rows.examples.rewards, rows.lengths]
    columns += [] if rows.examples.desirable is None else [rows.examples.desirable]
    columns += [] if rows.log_partition is None else [np.round(rows.log_partition, 9)]
    seen = np.stack(columns, axis=1)[rows.units].reshape(len(rows.units), -1)  # (U, columns of the unit)
    _, first, counts = np.unique(seen, axis=0, return_index=True, return_counts=True)
    return np.asarray(rows.units[np.repeat(first, counts // np.gcd.reduce(counts))])
