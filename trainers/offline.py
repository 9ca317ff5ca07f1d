"""The offline engine: one subclass of transformers.Trainer for every objective on logged responses."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainingArguments

from trainers.checkpoints import SCALES_FILE, VALUE_FILE
from trainers.gradients import GradientScales
from trainers.kept_checkpoints import KeptCheckpoints
from trainers.offline_step import OfflineStep, TrainingInputs
from trainers.optimisers import spare_embeddings
from trainers.sharding import Spread, add_gradients, keep_whole_states
from trainers.training_log import TrainingLog
from trainers.value import ValueNetwork

Probe = Callable[[Any], dict[str, float]]
Progress = Callable[[int, dict[str, float]], None]


def probed_by(probe: Probe, policy: Any, step: int, kept: KeptCheckpoints | None) -> dict[str, float]:
    """A probe's measurement of a whole policy, which is kept if it is to be."""
    found = probe(policy)
    if kept is not None:
        kept.after_probe(step, policy, found)
    return found


class DivergedError(Exception):
    """A loss or a gradient that isn't finite: the run ends, as a result."""


class OfflineTrainer(Trainer):
    """Runs a plan of optimiser steps over logged responses.

    One item of the data loader is one optimiser step: ``training_step`` splits it into micro-batches itself,
    with weights that make the split change nothing. Dropout is off throughout (the model stays in eval mode),
    because the log-ratio to a reference without dropout would otherwise be noise.
    """

    def __init__(
        self,
        policy: Spread,
        args: TrainingArguments,
        inputs: TrainingInputs,
        value: Spread | None,
        value_learning_rate: float,
        scales: GradientScales,
    ) -> None:
        """Takes the policy, equal to the reference, and the work."""
        super().__init__(model=policy.module, args=args, train_dataset=range(args.max_steps))
        self.policy = policy
        self.ranks = inputs.ranks
        self.spread_value = value
        self.value: ValueNetwork | None = None if value is None else value.module
        self.work = OfflineStep(inputs, policy.module, self.value, args.device)
        self.first_step = 0  # of the data's plan, where there are several plans
        self.value_learning_rate = value_learning_rate
        self.scales = scales
        self.training_log: TrainingLog | None = None
        self.probe: Probe | None = None
        self.probe_every = 0
        self.kept: KeptCheckpoints | None = None
        self.progress: Progress | None = None
        self.tokens = 0
        self._logged: dict[str, float] = {}
        self._saved_value: Any = None
        self._started = time.monotonic()
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)

    def training_step(self, model: Any, inputs: dict[str, Tensor], num_items_in_batch: Any = None) -> Tensor:
        """Accumulates the gradient of one optimiser batch; returns its loss, ()."""
        planned = int(inputs["step"]) - self.first_step
        model.eval()
        starts = self.state.global_step == 0
        self._logged = self.work.gradient(model, planned, self.accelerator.backward, starts)
        total = self._logged.pop("loss")
        if not math.isfinite(total):
            raise DivergedError(f"the loss became {total} at step {int(inputs['step']) + 1}")
        networks = [model.parameters(), [] if self.value is None else self.value.parameters()]
        add_gradients(chain(*networks), self.ranks)
        self._logged |= self.scales.apply(
            model.parameters(), None if self.value is None else self.value.parameters()
        )
        self.tokens += self.work.tokens(planned)
        return torch.tensor(total, device=self.args.device)

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
            keep_whole_states(optimizer, self.ranks)
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
            record |= self.run_probe(self.state.global_step)
        self.write_log(self.state.global_step, record)
        if self.progress is not None:
            self.progress(self.state.global_step, record)

    def resume_counts(self, record: dict[str, float]) -> None:
        """Restores an interrupted run's counts from the last line of its log."""
        self.tokens = int(record["tokens"])
        self._started = time.monotonic() - record["seconds"]

    def run_probe(self, step: int) -> dict[str, float]:
        """The probe's measurement of the current policy, which may be kept."""
        if self.probe is None:
            return {}
        with self.policy.whole() as whole:
            return probed_by(self.probe, whole, step, self.kept) if self.ranks.first else {}

    def write_log(self, step: int, record: dict[str, float]) -> None:
        """Adds a line to the training log."""
        if self.training_log is not None:
            self.training_log.write({"step": step, **record})

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """One checkpoint, whole, however many ranks there are: each has to give its part."""
        with self.policy.whole() as whole, self._whole_value() as value:
            if self.ranks.first:
                self.model, own, self._saved_value = whole, self.model, value
                super()._save_checkpoint(whole, trial)
                self.model, self._saved_value = own, None
            else:
                self.optimizer.state_dict()

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if output_dir is None:
            return
        torch.save(self.scales.state(), Path(output_dir) / SCALES_FILE)
        if self._saved_value is not None:
            torch.save(self._saved_value.state_dict(), Path(output_dir) / VALUE_FILE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with self.policy.whole(change=True) as whole:
            super()._load_from_checkpoint(resume_from_checkpoint, whole)
        self.scales.load(torch.load(Path(resume_from_checkpoint) / SCALES_FILE, weights_only=True))
        with self._whole_value(change=True) as value:
            if value is not None:
                state = torch.load(Path(resume_from_checkpoint) / VALUE_FILE, weights_only=True)
                value.load_state_dict(state)

    def _whole_value(self, change: bool = False) -> AbstractContextManager[Any]:
        return nullcontext() if self.spread_value is None else self.spread_value.whole(change)


def _step(indices: list[int]) -> dict[str, Tensor]:
    return {"step": torch.tensor(indices[0])}
