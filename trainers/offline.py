"""The offline engine: one subclass of transformers.Trainer for every objective on logged responses."""

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainingArguments

from trainers.checkpoints import SCALES_FILE, VALUE_FILE
from trainers.errors import UserError
from trainers.gradients import GradientScales
from trainers.inputs import TokenLayout
from trainers.length_groups import cuts_by_tokens
from trainers.memory import halving
from trainers.objective import Batch, Need, OfflineMethod
from trainers.optimisers import spare_embeddings
from trainers.precision import LOG_RATIO_TOLERANCE, DType, autocast
from trainers.prepare import OfflineData
from trainers.recomputing import recomputed_layers, recomputing
from trainers.row_logps import row_logps
from trainers.training_log import TrainingLog
from trainers.value import ValueNetwork

Probe = Callable[[Any], dict[str, float]]
Progress = Callable[[int, dict[str, float]], None]


class DivergedError(Exception):
    """A loss or a gradient that isn't finite: the run ends, as a result."""


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
    """

    method: OfflineMethod
    data: OfflineData
    layout: TokenLayout
    dtype: DType
    micro_batch_size: int | None
    tokens_per_micro_batch: int | None = None


class OfflineTrainer(Trainer):
    """Runs a plan of optimiser steps over logged responses.

    One item of the data loader is one optimiser step: ``training_step`` splits it into micro-batches itself,
    with weights that make the split change nothing. Dropout is off throughout (the model stays in eval mode),
    because the log-ratio to a reference without dropout would otherwise be noise.
    """

    def __init__(
        self,
        model: Any,
        args: TrainingArguments,
        inputs: TrainingInputs,
        value: ValueNetwork | None,
        value_learning_rate: float,
        scales: GradientScales,
    ) -> None:
        """Takes the policy, equal to the reference, and the work."""
        data = inputs.data
        super().__init__(model=model, args=args, train_dataset=range(args.max_steps))
        self.method = inputs.method
        self.data = data
        self.first_step = 0  # of the data's plan, where there are several plans
        self.layout = inputs.layout
        self.dtype: DType = inputs.dtype
        self.micro_batch_size = inputs.micro_batch_size
        self.tokens_per_micro_batch = inputs.tokens_per_micro_batch
        self.value = None if value is None else value.to(args.device)
        self.recomputed = recomputed_layers(model, value)
        self.value_learning_rate = value_learning_rate
        self.scales = scales
        self.training_log: TrainingLog | None = None
        self.probe: Probe | None = None
        self.probe_every = 0
        self.progress: Progress | None = None
        self.tokens = 0
        self._logged: dict[str, float] = {}
        self._started = time.monotonic()
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)

    # --- one optimiser step ---

    def training_step(self, model: Any, inputs: dict[str, Tensor], num_items_in_batch: Any = None) -> Tensor:
        """Accumulates the gradient of one optimiser batch; returns its loss, ()."""
        planned = int(inputs["step"]) - self.first_step
        units = self.data.units[self.data.plan.batches[planned]]  # (B, 1) or (B, 2)
        model.eval()
        given = self.micro_batch_size or units.size
        total, fitted = halving(
            given, units.shape[1], lambda size: self._accumulate(model, planned, self._parts(units, size))
        )
        if fitted < given:
            self.micro_batch_size = fitted
        if not torch.isfinite(total):
            raise DivergedError(f"the loss became {total.item()} at step {int(inputs['step']) + 1}")
        self._logged |= self.scales.apply(
            model.parameters(), None if self.value is None else self.value.parameters()
        )
        self.tokens += int(self.data.examples.lengths[units].sum())
        return total

    def _accumulate(self, model: Any, planned: int, parts: list[NDArray[np.int64]]) -> Tensor:
        """The loss of a planned step, whose gradient is added up over its micro-batches; ()."""
        model.zero_grad()
        if self.value is not None:
            self.value.zero_grad()  # Trainer empties the gradients of the policy alone
        rows = sum(map(len, parts))
        partner_log_ratio = self._partner_log_ratio(model, planned, max(map(len, parts)))
        early = None  # what the statistic needs of all rows, when there are several parts
        if len(parts) > 1:
            early = self._statistic_of_parts(model, parts, partner_log_ratio)
        total = torch.zeros((), device=self.args.device)
        logged: dict[str, Tensor] = {}
        for part in parts:
            weight = len(part) / rows
            batch = dataclasses.replace(self._forward(model, part), partner_log_ratio=partner_log_ratio)
            self._check_start(batch)
            statistic = early if early is not None else self.method.statistic(batch)
            output = self.method.loss(dataclasses.replace(batch, statistic=statistic))
            self.accelerator.backward(output.loss * weight)
            total += output.loss.detach() * weight
            seen = {"log_ratio": batch.log_ratio.detach().mean(), **output.logged}
            for name, number in seen.items():
                logged[name] = logged.get(name, torch.zeros_like(total)) + number * weight
        self._logged = {name: float(number) for name, number in logged.items()}
        if len(parts) > 1:
            self._logged["micro_batches"] = float(len(parts))
        return total

    def _parts(self, units: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
        """The rows of each micro-batch, at most ``size``: its units' first rows, then their second ones."""
        lengths = self.data.examples.lengths[units].sum(axis=1)
        if size >= units.size and lengths.sum() <= (self.tokens_per_micro_batch or np.inf):
            return [units.T.ravel()]
        order = np.argsort(lengths, kind="stable")
        most = max(1, size // units.shape[1])
        return [
            units[order[cut]].T.ravel()
            for cut in cuts_by_tokens(lengths[order], most, self.tokens_per_micro_batch)
        ]

    def _forward(self, model: Any, rows: NDArray[np.int64]) -> Batch:
        data, device = self.data, self.args.device
        prompts = [data.examples.prompts[i] for i in rows]
        responses = [data.examples.responses[i] for i in rows]

        def column(values: NDArray[Any] | None) -> Tensor | None:
            return (
                None if values is None else torch.as_tensor(values[rows], dtype=torch.float32, device=device)
            )

        with autocast(self.dtype, device), recomputing(self.recomputed):
            policy = row_logps(model, prompts, responses, self.layout, device)  # (B,)
            value = None
            if self.value is not None and torch.is_grad_enabled():
                value = self.value(prompts, self.layout)
        labels = data.examples.desirable
        reference, lengths = column(data.reference_logps), column(data.lengths)
        reward = column(data.examples.rewards)
        assert reference is not None and lengths is not None and reward is not None  # noqa: PT018
        return Batch(
            policy_logps=policy,
            reference_logps=reference,
            lengths=lengths,
            reward=reward,
            desirable=None if labels is None else torch.as_tensor(labels[rows], device=device),
            log_partition=column(data.log_partition),
            value=value,
        )

    @torch.no_grad()
    def _partner_log_ratio(self, model: Any, planned: int, size: int) -> Tensor | None:
        """D of a planned step's mismatched pairs; (B,), or None where the method asks for none."""
        if Need.KL_PARTNER not in self.method.needs:
            return None
        assert self.data.partner_logps is not None
        examples, device = self.data.examples, self.args.device
        rows, partners = self.data.plan.batches[planned], self.data.plan.partners[planned]
        found = []
        both = zip(rows, partners, strict=True)
        lengths = np.array([len(examples.prompts[i]) + len(examples.responses[j]) for i, j in both])
        for cut in cuts_by_tokens(lengths, size, self.tokens_per_micro_batch):
            prompts = [examples.prompts[i] for i in rows[cut]]
            responses = [examples.responses[j] for j in partners[cut]]
            with autocast(self.dtype, device):
                found.append(row_logps(model, prompts, responses, self.layout, device))
        reference = torch.as_tensor(self.data.partner_logps[planned], dtype=torch.float32, device=device)
        return torch.cat(found) - reference

    @torch.no_grad()
    def _statistic_of_parts(
        self, model: Any, parts: list[NDArray[np.int64]], partner_log_ratio: Tensor | None
    ) -> Tensor | None:
        """The statistic of the whole optimiser batch, when no forward pass holds all of it."""
        rows = np.concatenate(parts)
        if not self.method.statistic_reads_policy:
            first = self._forward(model, rows[:1])
            return self.method.statistic(dataclasses.replace(first, partner_log_ratio=partner_log_ratio))
        batches = [self._forward(model, part) for part in parts]
        whole = {
            field.name: torch.cat([getattr(batch, field.name) for batch in batches])
            for field in dataclasses.fields(Batch)
            if getattr(batches[0], field.name) is not None
        }
        return self.method.statistic(Batch(**whole, partner_log_ratio=partner_log_ratio))

    def _check_start(self, batch: Batch) -> None:
        """At step 0 the policy is the reference: a log-ratio beyond rounding means that something differs."""
        if self.state.global_step > 0:
            return
        worst = float((batch.log_ratio.detach().abs() / batch.lengths).max())
        if not worst <= LOG_RATIO_TOLERANCE[self.dtype]:
            raise UserError(
                f"Before the first step the policy differs from its reference by {worst:.2g} nats per token; "
                f"{LOG_RATIO_TOLERANCE[self.dtype]:g} is what {self.dtype} explains. The reference log-probs "
                "belong to other weights, another tokenizer or another number format: clear the cache."
            )

    # --- the interface of Trainer ---

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The plan's steps, in order."""
        return DataLoader(self.train_dataset, batch_size=1, shuffle=False, collate_fn=_step)

    def create_optimizer(self, model: Any = None) -> Any:
        """The policy's parameters, and the value network's in a group of their own."""
        created = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if created and self.value is not None:
            group = {"params": list(self.value.parameters()), "lr": self.value_learning_rate}
            optimizer.add_param_group({**group, "weight_decay": 0.0})
        if created:
            spare_embeddings(optimizer, self.model, self.value)
        return optimizer

    def floating_point_ops(self, inputs: Any) -> int:
        """Not estimated: the items of the loader are step numbers."""
        return 0

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Writes one line of the training log per optimiser step."""
        if "loss" not in logs:  # Trainer's own closing summary
            return
        record = {**logs, **self._logged}
        if not math.isfinite(record.get("grad_norm", 0.0)):
            raise DivergedError(
                f"the gradient norm became {record['grad_norm']} at step {self.state.global_step}"
            )
        super().log(dict(record), start_time)
        seconds = time.monotonic() - self._started
        record |= {"tokens": self.tokens, "seconds": round(seconds, 3)}
        record["tokens_per_s"] = round(self.tokens / max(seconds, 1e-9), 1)
        last = self.state.global_step == self.args.max_steps
        if self.probe_every and (last or self.state.global_step % self.probe_every == 0):
            record |= self.run_probe()
        self.write_log(self.state.global_step, record)
        if self.progress is not None:
            self.progress(self.state.global_step, record)

    def resume_counts(self, record: dict[str, float]) -> None:
        """Restores an interrupted run's counts from the last line of its log."""
        self.tokens = int(record["tokens"])
        self._started = time.monotonic() - record["seconds"]

    def run_probe(self) -> dict[str, float]:
        """The probe's measurement of the current policy."""
        return {} if self.probe is None else self.probe(self.accelerator.unwrap_model(self.model))

    def write_log(self, step: int, record: dict[str, float]) -> None:
        """Adds a line to the training log."""
        if self.training_log is not None:
            self.training_log.write({"step": step, **record})

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if output_dir is None:
            return
        torch.save(self.scales.state(), Path(output_dir) / SCALES_FILE)
        if self.value is not None:
            torch.save(self.value.state_dict(), Path(output_dir) / VALUE_FILE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self.scales.load(torch.load(Path(resume_from_checkpoint) / SCALES_FILE, weights_only=True))
        if self.value is not None:
            state = torch.load(Path(resume_from_checkpoint) / VALUE_FILE, weights_only=True)
            self.value.load_state_dict(state)


def _step(indices: list[int]) -> dict[str, Tensor]:
    return {"step": torch.tensor(indices[0])}
