"""One optimiser step on logged responses: its gradient, added up over micro-batches and ranks."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.errors import UserError
from trainers.inputs import TokenLayout
from trainers.length_groups import cuts_by_tokens
from trainers.memory import RowsAtOnce
from trainers.objective import Batch, Need, OfflineMethod
from trainers.precision import LOG_RATIO_TOLERANCE, DType, autocast
from trainers.prepare import OfflineData
from trainers.ranks import ALONE, Ranks
from trainers.recomputing import recomputed_layers, recomputing
from trainers.row_logps import row_logps
from trainers.value import ValueNetwork


@dataclass(frozen=True)
class TrainingInputs:
    """The objective and its data, and how rows are computed.

    Attributes:
        method: the objective.
        data: what ``prepare`` made for it.
        layout: padding and decoder start.
        dtype: of the forward passes.
        micro_batch_size: rows whose gradients are computed together; None: the whole optimiser batch.
        tokens_per_micro_batch: the most tokens of these rows; None: no limit.
        ranks: the processes that share the work.
    """

    method: OfflineMethod
    data: OfflineData
    layout: TokenLayout
    dtype: DType
    micro_batch_size: int | None
    tokens_per_micro_batch: int | None = None
    ranks: Ranks = ALONE


class OfflineStep:
    """Computes the gradient of a planned step, with weights that make no split of its rows change it.

    Attributes:
        data: the rows, and the batches of all steps.
    """

    def __init__(
        self, inputs: TrainingInputs, model: Any, value: ValueNetwork | None, device: torch.device
    ) -> None:
        """Takes the policy and the value network, which are sharded already where they are to be."""
        self.data = inputs.data
        self._inputs = inputs
        self._method = inputs.method
        self._ranks = inputs.ranks
        self._value = value
        self._device = device
        self._recomputed = recomputed_layers(model, value)
        self._at_once = RowsAtOnce(inputs.micro_batch_size, retries=inputs.ranks.may_retry)

    def gradient(
        self, model: Any, planned: int, backward: Callable[[Tensor], None], starts: bool
    ) -> dict[str, float]:
        """Sets the gradients of a planned step's loss, or of this rank's share of it.

        Args:
            model: the policy.
            planned: which step of the plan.
            backward: runs a backward pass.
            starts: whether the policy is still the reference.

        Returns:
            The numbers for the log, with "loss": of all rows.
        """
        units = self._units(planned)
        own = units[self._ranks.share(len(units))]

        def attempt(size: int) -> dict[str, float]:
            model.zero_grad()
            if self._value is not None:
                self._value.zero_grad()  # Trainer empties the gradients of the policy alone
            parts = self._ranks.in_step(self._parts(own, size), units[0])
            return self._accumulate(model, planned, parts, size, backward, starts)

        return self._at_once.run(max(own.size, units.shape[1]), units.shape[1], attempt)

    def tokens(self, planned: int) -> int:
        """Prompt and response tokens of a planned step's rows."""
        return int(self.data.examples.lengths[self._units(planned)].sum())

    def _units(self, planned: int) -> NDArray[np.int64]:
        """The rows of a planned step; (B, 1) or (B, 2)."""
        return np.asarray(self.data.units[self.data.plan.batches[planned]])

    def _accumulate(
        self,
        model: Any,
        planned: int,
        parts: Sequence[tuple[NDArray[np.int64], bool]],
        size: int,
        backward: Callable[[Tensor], None],
        starts: bool,
    ) -> dict[str, float]:
        """Adds up the gradient over micro-batches, of which some may not count."""
        rows = self._units(planned).ravel()
        partner_log_ratio = self._partner_log_ratio(model, planned, size)
        several = len(parts) > 1 or not self._ranks.alone
        early = self._early_statistic(model, parts, rows, partner_log_ratio) if several else None
        logged: dict[str, Tensor] = {}
        for part, counts in parts:
            weight = len(part) / len(rows) if counts else 0.0
            batch = dataclasses.replace(self._forward(model, part), partner_log_ratio=partner_log_ratio)
            if starts:
                self._check_start(batch)
            statistic = early if several else self._method.statistic(batch)
            output = self._method.loss(dataclasses.replace(batch, statistic=statistic))
            backward(output.loss * (weight * self._ranks.gradient_factor))
            seen = {"loss": output.loss.detach(), "log_ratio": batch.log_ratio.detach().mean()}
            for name, number in (seen | output.logged).items():
                logged[name] = logged.get(name, torch.zeros_like(number)) + number * weight
        found = self._ranks.totals({name: float(number) for name, number in logged.items()})
        return found | ({"micro_batches": float(len(parts))} if len(parts) > 1 else {})

    def _parts(self, units: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
        """The rows of each micro-batch, at most ``size``: its units' first rows, then their second ones."""
        if not len(units):
            return []
        lengths = self.data.examples.lengths[units].sum(axis=1)
        tokens = self._inputs.tokens_per_micro_batch
        if size >= units.size and lengths.sum() <= (tokens or np.inf):
            return [units.T.ravel()]
        order = np.argsort(lengths, kind="stable")
        most = max(1, size // units.shape[1])
        return [units[order[cut]].T.ravel() for cut in cuts_by_tokens(lengths[order], most, tokens)]

    def _forward(self, model: Any, rows: NDArray[np.int64]) -> Batch:
        """The rows with the policy's numbers, and the value network's where gradients are recorded."""
        examples = self.data.examples
        prompts = [examples.prompts[i] for i in rows]
        responses = [examples.responses[i] for i in rows]
        with autocast(self._inputs.dtype, self._device), recomputing(self._recomputed):
            policy = row_logps(model, prompts, responses, self._inputs.layout, self._device)  # (B,)
            value = None
            if self._value is not None and torch.is_grad_enabled():
                value = self._value(prompts, self._inputs.layout)
        return self._batch(rows, policy, value)

    def _batch(self, rows: NDArray[np.int64], policy: Tensor, value: Tensor | None = None) -> Batch:
        """The rows' data beside the policy's log-probs (B,)."""
        data, labels = self.data, self.data.examples.desirable

        def column(values: NDArray[Any]) -> Tensor:
            return torch.as_tensor(values[rows], dtype=torch.float32, device=self._device)

        return Batch(
            policy_logps=policy,
            reference_logps=column(data.reference_logps),
            lengths=column(data.lengths),
            reward=column(data.examples.rewards),
            desirable=None if labels is None else torch.as_tensor(labels[rows], device=self._device),
            log_partition=None if data.log_partition is None else column(data.log_partition),
            value=value,
        )

    @torch.no_grad()
    def _partner_log_ratio(self, model: Any, planned: int, size: int) -> Tensor | None:
        """D of a planned step's mismatched pairs; (B,), or None where the method asks for none."""
        if Need.KL_PARTNER not in self._method.needs:
            return None
        assert self.data.partner_logps is not None
        examples, layout = self.data.examples, self._inputs.layout
        rows, partners = self.data.plan.batches[planned], self.data.plan.partners[planned]
        both = zip(rows, partners, strict=True)
        lengths = np.array([len(examples.prompts[i]) + len(examples.responses[j]) for i, j in both])
        own = np.arange(len(rows))[self._ranks.share(len(rows))]
        cuts = cuts_by_tokens(lengths[own], size, self._inputs.tokens_per_micro_batch) if len(own) else []
        found = [torch.zeros(0, device=self._device)]
        for places, counts in self._ranks.in_step([own[cut] for cut in cuts], np.arange(1)):
            prompts = [examples.prompts[i] for i in rows[places]]
            responses = [examples.responses[j] for j in partners[places]]
            with autocast(self._inputs.dtype, self._device):
                logps = row_logps(model, prompts, responses, layout, self._device)
            found += [logps] if counts else []
        reference = torch.as_tensor(
            self.data.partner_logps[planned], dtype=torch.float32, device=self._device
        )
        return self._ranks.rows(torch.cat(found)) - reference

    @torch.no_grad()
    def _early_statistic(
        self,
        model: Any,
        parts: Sequence[tuple[NDArray[np.int64], bool]],
        rows: NDArray[np.int64],
        partner_log_ratio: Tensor | None,
    ) -> Tensor | None:
        """The statistic of the whole optimiser batch, when no forward pass holds all of it."""
        if self._method.statistic_reads_policy:
            computed = [(part, self._forward(model, part).policy_logps, counts) for part, counts in parts]
            own = [(part, logps) for part, logps, counts in computed if counts]
            nothing = torch.zeros(0, device=self._device)
            policy = self._ranks.rows(torch.cat([nothing, *(logps for _, logps in own)]))
            everyone = self._ranks.every([part for part, _ in own])
            rows = np.concatenate([part for each in everyone for part in each])
        else:
            policy = torch.zeros(len(rows), device=self._device)
        batch = self._batch(rows, policy)
        return self._method.statistic(dataclasses.replace(batch, partner_log_ratio=partner_log_ratio))

    def _check_start(self, batch: Batch) -> None:
        """Before the first step the policy is the reference: a difference beyond rounding is a fault."""
        worst = float((batch.log_ratio.detach().abs() / batch.lengths).max())
        dtype = self._inputs.dtype
        if not worst <= LOG_RATIO_TOLERANCE[dtype]:
            raise UserError(
                f"Before the first step the policy differs from its reference by {worst:.2g} nats per token; "
                f"{LOG_RATIO_TOLERANCE[dtype]:g} is what {dtype} explains. The reference log-probs belong to "
                "other weights, another tokenizer or another number format: clear the cache."
            )
