"""The part of a machine that one cell gets, and how its processes share a model there."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from rpo_bench.engine.plan.memory import (
    Parallel,
    device_memory,
    trained_bytes,
    weight_bytes,
    would_shard,
)
from rpo_bench.engine.plan.pricing import size_of_folder
from rpo_bench.errors import UserError
from rpo_bench.spec.schema import CellSpec
from trainers.objective import Method
from trainers.precision import HALF_WEIGHTS


@dataclass(frozen=True)
class Resources:
    """What one cell gets. Nothing here changes a result.

    Attributes:
        threads: torch threads of a process.
        gpus: on which its model trains, by a process each; without GPUs, the number of processes.
        parallel: whether each process keeps all weights or a part of them (FSDP2); "auto": all of them,
            where training takes at most half of a GPU.
    """

    threads: int = 1
    gpus: int = 1
    parallel: Parallel = "auto"

    def note(self) -> str | None:
        """What a user may not expect of them; None if nothing."""
        import torch

        if self.gpus == 1 or torch.cuda.is_available():
            return None
        return f"--gpus-per-cell {self.gpus}: torch finds no GPU here, so {self.gpus} processes train a cell."

    @property
    def shares(self) -> bool:
        """Whether several GPUs may share a cell's weights, their gradients and the optimiser."""
        import torch

        return self.gpus > 1 and self.parallel != "replicated" and torch.cuda.is_available()

    def memory(self) -> float:
        """Bytes of memory for the weights of one cell, their gradients and the optimiser."""
        return device_memory() * (self.gpus if self.shares else 1)


def parallel_of(name: str) -> Parallel:
    """The word of ``--parallel``; raises UserError for another one."""
    for known in get_args(Parallel):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise UserError(f"--parallel {name}: choose {', '.join(get_args(Parallel))}.")


def is_sharded(spec: CellSpec, method: Method | None, resources: Resources, trust: bool = False) -> bool:
    """Whether a cell's processes each keep a part of the weights.

    Args:
        spec: the cell.
        method: its method; None: nothing is trained.
        resources: what it gets.
        trust: whether code in the model's folder may run.

    Raises:
        UserError: they should, and the optimiser or the number format doesn't allow it.
    """
    if method is None:
        return False
    training, gpus, parallel = spec.training, resources.gpus, resources.parallel
    copies = training.dtype == HALF_WEIGHTS
    if copies and parallel == "replicated":
        raise UserError(f"--dtype {HALF_WEIGHTS} shards the weights: leave --parallel replicated out.")
    if gpus == 1 and not copies:
        return False  # as in most runs, of thousands of cells: nothing is asked of the device
    states = _states(spec, method, trust) if parallel == "auto" and not copies else 0.0
    if not would_shard(training, states, gpus, parallel, device_memory()):
        return False
    advice = "give --dtype bfloat16." if copies else "give --parallel replicated, or one GPU per cell."
    if spec.training.optim != "adamw":
        raise UserError(f"--optim {spec.training.optim}: only the states of adamw can be sharded: {advice}")
    if spec.loading.quantization is not None:
        raise UserError(f"--quantization {spec.loading.quantization}: its weights can't be sharded: {advice}")
    return True


def _states(spec: CellSpec, method: Method, trust: bool) -> float:
    """Bytes of weights, gradients and optimiser; 0 of a model that can't be built without its weights."""
    try:
        size = size_of_folder(Path(spec.model_path), trust)
    except UserError:
        return 0.0
    return trained_bytes(method, size, spec.training, weight_bytes(spec.loading))
