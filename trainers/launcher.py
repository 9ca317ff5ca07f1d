"""The environment variables of launchers such as torchrun, and how a training stays out of them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: By torch, accelerate, transformers, MPI and Slurm: a process's place among those that train one model.
_NAMES = frozenset(
    {
        "RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "NODE_RANK",
        "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE",
        "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT", "PMI_RANK", "PMI_SIZE",
        "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS",
    }
)  # fmt: skip
_PREFIXES = ("TORCHELASTIC_", "PET_", "OMPI_COMM_WORLD_", "MV2_COMM_WORLD_", "ACCELERATE_", "FSDP_")


def without_launcher(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables without those of a launcher."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _NAMES and not name.startswith(_PREFIXES)
    }


@contextmanager
def outside_launcher() -> Iterator[None]:
    """A block in which this process isn't one of a launcher's.

    Two trainings that torchrun started would otherwise average their gradients.
    """
    hidden = {name: os.environ[name] for name in os.environ.keys() - without_launcher(os.environ).keys()}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
