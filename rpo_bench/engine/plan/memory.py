"""Estimates the GPU memory of training a cell from the sizes of model and batch; nothing is loaded or run.

The model (docs/large-models.md), in bytes: a trained weight is 4, its gradient 4, and AdamW's two states 8.
Under bfloat16 autocast another 2 are its copy. A layer keeps 34 per token and unit of width in 16 bits
(arXiv 2205.05198, equation 2, without the attention scores), or 4 with gradient checkpointing. All are
multiplied out without fragmentation, to which a tenth of the GPU is left.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rpo_bench.engine.plan.pricing import ModelSize, Workload, size_of_folder
from rpo_bench.errors import UserError
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import LoadingSpec, LoraSpec, TrainingSpec
from trainers.objective import Method, Need
from trainers.precision import HALF_WEIGHTS

Parallel = Literal["auto", "replicated", "sharded"]

#: Bytes of memory, from the vendors' data sheets.
GPU_MEMORY: Mapping[str, float] = {"a100": 80e9, "h100": 80e9, "h200": 141e9, "l4": 24e9, "l40s": 48e9}
USABLE = 0.9  # the rest is lost to fragmentation and the driver

#: Of a GPU's memory: a training that takes more is sharded, as the rest is left to activations.
SHARDED_ABOVE = 0.5

_WEIGHT, _GRADIENT, _COPY = 4, 4, 2  # bytes of a parameter
_STATES: Mapping[str, int] = {"adamw": 8, "adafactor": 0, "adamw-8bit": 2, "paged-adamw-8bit": 2}
_KEPT, _KEPT_CHECKPOINTED = 34, 4  # bytes per layer, token and unit of width, in 16 bits
_ADAPTED = 23  # in + out of a layer's matrices, in widths
_LOGITS = 4 * 4 * 2**25  # float32 logits of a chunk, with what the backward pass makes of them
_FOUR_BITS = 0.52  # bytes of a weight and its share of quantised constants (arXiv 2305.14314)
_RANK = 16  # of the adapters that are suggested
_MOST_PER_STORED = 30  # bytes of training per byte of 16-bit weights: with copy, critic and frozen reference


@dataclass(frozen=True)
class MemoryNeed:
    """Memory of a training, in bytes.

    Attributes:
        states: weights, gradients and optimiser, of the policy and what trains beside it, and frozen copies.
        activations: of a micro-batch, with logits and the cache of sampling.
    """

    states: float
    activations: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.states + self.activations


def memory_need(
    method: Method,
    size: ModelSize,
    load: Workload,
    spec: RunSpec,
    gpus: int = 1,
    parallel: Parallel = "auto",
    memory: float = math.inf,
) -> MemoryNeed:
    """The memory of training one cell, on each of its GPUs.

    Args:
        method: the method.
        size: the model's size.
        load: token counts.
        spec: the run.
        gpus: that train the model together.
        parallel: whether each keeps a part of the weights; it then has them whole for a while when they are
            saved, probed or sampled from.
        memory: bytes of a GPU, by which "auto" decides.
    """
    training = spec.training
    states = trained_bytes(method, size, training, weight_bytes(spec.loading))
    if would_shard(training, states, gpus, parallel, memory):
        states = states / gpus + _WEIGHT * (size.parameters + size.table)
    step = -(-training.batch_size // int(getattr(method, "minibatches", 1)) // gpus)
    rows = min(training.micro_batch_size or step, step)
    tokens = rows * (load.prompt_tokens + load.response_tokens)
    if training.tokens_per_micro_batch is not None:
        tokens = min(tokens, training.tokens_per_micro_batch)
    wide = 2 if training.dtype == "float32" else 1
    kept = size.layers * (_KEPT_CHECKPOINTED if training.gradient_checkpointing else _KEPT * wide)
    kept += _KEPT * wide if training.gradient_checkpointing else 0  # of the layer that is computed again
    cache = 0.0
    if method.samples_policy:  # keys and values of all rollouts
        sampled = -(-training.batch_size // gpus) * (load.prompt_tokens + load.response_tokens)
        cache = 2 * 2 * wide * size.layers * size.width * sampled
    return MemoryNeed(states, max(kept * size.width * tokens, cache) + _LOGITS)


def would_shard(training: TrainingSpec, states: float, gpus: int, parallel: Parallel, memory: float) -> bool:
    """Whether the GPUs of a cell each keep a part of the weights.

    Args:
        training: the training's settings.
        states: bytes of weights, gradients and optimiser.
        gpus: that train the model together.
        parallel: what was asked for.
        memory: bytes of a GPU.
    """
    if training.dtype == HALF_WEIGHTS:
        return True  # FSDP2 makes the copies, of one process too
    large = parallel == "auto" and states > SHARDED_ABOVE * memory
    return gpus > 1 and (parallel == "sharded" or large)


def trained_bytes(method: Method, size: ModelSize, training: TrainingSpec, weight: float = _WEIGHT) -> float:
    """Weights, gradients and optimiser states of all that trains, and a frozen reference beside it.

    Args:
        method: the method.
        size: the model's size.
        training: the training's settings.
        weight: bytes of a weight that isn't trained.
    """
    whole = size.parameters + size.table
    copy = 0 if training.dtype in ("float32", HALF_WEIGHTS) else _COPY  # these copy a layer at a time
    each = _WEIGHT + _GRADIENT + _STATES[training.optim]
    beside = 0
    if Need.VALUE in method.needs:
        critic = getattr(method, "uses_critic", False)
        beside = size.encoder + size.table if size.encoder and not critic else whole
    if training.lora is not None:
        adapters = training.lora.rank * size.layers * _ADAPTED * size.width
        return whole * (weight + (copy if weight == _WEIGHT else 0)) + each * (adapters + beside)
    frozen = _WEIGHT * whole if method.samples_policy else 0  # the reference
    probed = weight * whole if training.probe_every else 0  # the base model, for KL
    return (each + copy) * (whole + beside) + frozen + probed


def weight_bytes(loading: LoadingSpec) -> float:
    """Bytes of a weight that isn't trained."""
    if loading.quantization is not None:
        return _FOUR_BITS
    return 4 if loading.dtype in ("float32", "autocast") else 2


def smaller(spec: RunSpec, sharded: bool = False) -> Iterator[tuple[str, RunSpec]]:
    """Settings that need less memory, with their flags: those that change nothing first, adapters last.

    Args:
        spec: the run.
        sharded: whether the states are, which those of eight bits can't be.
    """
    lora = spec.training.lora or LoraSpec(rank=_RANK, alpha=2.0 * _RANK)
    half = spec.model_copy(update={"loading": spec.loading.model_copy(update={"dtype": "bfloat16"})})
    kinds: tuple[tuple[str, RunSpec, dict[str, object]], ...] = (
        ("", spec, {}),
        ("--optim adamw-8bit ", spec, {"optim": "adamw-8bit"}),
        (f"--lora-rank {lora.rank} --model-dtype bfloat16 ", half, {"lora": lora}),
    )
    most = spec.training.micro_batch_size or spec.training.batch_size
    sizes = [rows for rows in (16, 8, 4, 2, 1) if rows < most]
    for words, base, changes in kinds:
        if sharded and "optim" in changes:
            continue
        flags = f"{words}--gradient-checkpointing"
        one = _changed(base, {**changes, "gradient_checkpointing": True})
        yield flags, one
        for rows in sizes:
            yield f"{flags} --micro-batch-size {rows}", _changed(one, {"micro_batch_size": rows})


def check_memory(
    methods: Sequence[Method],
    folder: Path,
    stored: int,
    spec: RunSpec,
    room: float,
    trust: bool = False,
    sharded: bool = False,
) -> None:
    """Refuses a training whose weights, gradients and optimiser alone are larger than the memory.

    Args:
        methods: the methods.
        folder: the model's folder.
        stored: bytes of its files, by which small models are told without being looked at.
        spec: the run.
        room: bytes of the device's memory.
        trust: whether code in the model's folder may run.
        sharded: whether the memory is that of several GPUs, which share the states.

    Raises:
        UserError: names the method, and settings that need less.
    """
    if stored * _MOST_PER_STORED < room:
        return
    try:
        size = size_of_folder(folder, trust)
    except UserError:
        return  # of a model that can't be built without its weights nothing is known
    for method in methods:
        needed = trained_bytes(method, size, spec.training, weight_bytes(spec.loading))
        if needed > room:
            less = (
                (flags, trained_bytes(method, size, one.training, weight_bytes(one.loading)))
                for flags, one in smaller(spec, sharded)
            )
            fitting = (f"give {flags} ({small / 1e9:,.0f} GB)" for flags, small in less if small < room)
            advice = next(fitting, "take a smaller model")
            raise UserError(
                f"{method.name} on {folder.name}: weights, gradients and optimiser take {needed / 1e9:,.0f} "
                f"GB, and there are {room / 1e9:,.0f} GB of memory: {advice}."
            )


def device_memory() -> float:
    """Bytes of memory of the device that trains: of the first GPU, else of the machine."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.get_device_properties(0).total_memory)
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _changed(spec: RunSpec, training: Mapping[str, object]) -> RunSpec:
    return spec.model_copy(update={"training": spec.training.model_copy(update=dict(training))})
