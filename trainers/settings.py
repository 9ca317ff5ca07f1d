"""Settings and results of training, the same for every method."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from trainers.batches import Batching
from trainers.errors import UserError
from trainers.gradients import Clipping
from trainers.kept_checkpoints import Keep
from trainers.seen import Seen
from trainers.tracking import Tracked
from trainers.whole_files import whole_file

Optim = Literal["adamw", "adafactor", "adamw-8bit", "paged-adamw-8bit"]


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters; ``target_modules`` None: every linear layer."""

    rank: int = 8
    alpha: float = 16.0
    target_modules: tuple[str, ...] | None = None


@dataclass(frozen=True)
class TrainingSettings:
    """All settings of training except the objective.

    Attributes:
        steps: optimiser steps.
        batch_size: rows per optimiser step.
        micro_batch_size: rows per forward pass; None: all of them. It is halved when memory runs out.
        tokens_per_micro_batch: the most tokens of a forward pass, of one row at least; None: no limit.
        gradient_checkpointing: activations are computed again in the backward pass, not kept. Like the two
            settings before, it changes memory and not the result.
        learning_rate: peak of a linear schedule; None: the method's default for the model's width.
        value_learning_rate: of the value network or critic; None: the policy's, or a tenth beside adapters.
        warmup_steps: of the schedule.
        weight_decay: of AdamW, on the policy's weights but its norms and biases.
        adam_betas: of AdamW: decay of the running means of gradients and of their squares.
        optim: the optimiser: "adamw"; "adafactor", with a decay of 0.8; or AdamW with states of eight bits by
            bitsandbytes, "paged" out to the processor's memory when a GPU's runs out.
        batches: "uniform" random draws, or "by_length" as version 0.1 drew them.
        clipping: of gradients, for policy and value network separately: "relative" to their own recent norms,
            "none", or "absolute", as in version 0.1.
        max_grad_norm: of absolute clipping.
        dtype: "auto", "float32", "bfloat16" (autocast over float32 weights) or "bfloat16-weights" (passes by
            copies of float32 weights, which ranks that share a model make).
        lora: adapters, or None to train all weights.
        probe_every: steps between probes; 0: none.
        save_every: steps between resumable checkpoints; 0: none.
        keep_checkpoints: which policies stay beside the last one: those of "all" probes, or of the "best".
        seed: of the batch plan and of new weights (adapters).
        report_to: trackers that get the training log as well (tensorboard, wandb, trackio).
        run_name: the run's name there.
        run_config: the run's configuration for them: method, strength, seed …
    """

    steps: int = 300
    batch_size: int = 64
    micro_batch_size: int | None = None
    tokens_per_micro_batch: int | None = None
    gradient_checkpointing: bool = False
    learning_rate: float | None = None
    value_learning_rate: float | None = None
    warmup_steps: int = 20
    weight_decay: float = 0.0
    adam_betas: tuple[float, float] = (0.9, 0.999)
    optim: Optim = "adamw"
    batches: Batching = "uniform"
    clipping: Clipping = "relative"
    max_grad_norm: float = 1.0
    dtype: str = "auto"
    lora: Lora | None = None
    probe_every: int = 0
    save_every: int = 0
    keep_checkpoints: Keep = "last"
    seed: int = 0
    report_to: tuple[str, ...] = ()
    run_name: str | None = None
    run_config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tracked(self) -> Tracked:
        """The trackers and the run's configuration for them."""
        return Tracked(self.report_to, self.run_name, self.run_config)


@dataclass(frozen=True)
class FitResult:
    """The result of a training run.

    Attributes:
        status: "completed", or "diverged": a loss or gradient that wasn't finite, a result like any other.
        reason: what diverged, and when.
        steps: optimiser steps done.
        seconds: wall time of training, probes included, set-up and reference log-probs not.
        tokens: prompt and response tokens trained on, padding not counted.
        peak_memory_bytes: of the device, or of the process on the CPU.
        dtype: the format that "auto" became.
        plan_hash: identity of the batch plan.
        reward_mean: subtracted from the rewards where the method z-scores them (else 0).
        reward_sd: they were divided by this (else 1).
        rollouts: responses sampled from the policy in training (online methods).
        seen: the data that it used; None in a result of version 0.1.
    """

    status: Literal["completed", "diverged"]
    reason: str | None
    steps: int
    seconds: float
    tokens: int
    peak_memory_bytes: int
    dtype: str
    plan_hash: str
    reward_mean: float
    reward_sd: float
    rollouts: int = 0
    seen: Seen | None = None

    def save(self, file: Path) -> None:
        """Writes it as JSON, whole or not at all."""
        with whole_file(file) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, file: Path) -> "FitResult":
        """Reads what ``save`` wrote."""
        values = json.loads(file.read_text())
        seen = values.pop("seen", None)
        return cls(**values, seen=None if seen is None else Seen(**seen))


def check_optimiser(name: str) -> None:
    """Checks that what an optimiser needs is installed; raises UserError otherwise."""
    if name.endswith("8bit") and find_spec("bitsandbytes") is None:
        raise UserError(
            f"--optim {name}: bitsandbytes isn't installed: pip install bitsandbytes, or use adafactor."
        )
