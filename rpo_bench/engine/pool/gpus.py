"""The GPUs of this machine, and which of them each worker sees."""

import os
from collections.abc import Sequence
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.models.device import VISIBLE
from rpo_bench.wording import counted

#: One of these exists where a driver for GPUs does; torch is slow to import only to be asked.
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if not any(Path(driver).exists() for driver in _DRIVERS):
        return ()
    import torch

    return named_gpus(os.environ.get(VISIBLE), torch.cuda.device_count())


def named_gpus(variable: str | None, count: int) -> tuple[str, ...]:
    """The names of ``count`` usable GPUs.

    Args:
        variable: CUDA_VISIBLE_DEVICES: numbers or identifiers separated by commas; None: not set.
        count: what the driver says of them.
    """
    if variable is None:
        return tuple(str(number) for number in range(count))
    return tuple(name.strip() for name in variable.split(","))[:count]


def gpu_slots(gpus: Sequence[str], per_cell: int) -> tuple[str, ...]:
    """CUDA_VISIBLE_DEVICES of each worker: ``per_cell`` GPUs that no other has; those left over are unused.

    Raises:
        UserError: there are fewer GPUs than that.
    """
    if not gpus:
        return ()
    if per_cell > len(gpus):
        raise UserError(f"--gpus-per-cell {per_cell}: this machine shows {counted(len(gpus), 'GPU')}.")
    return tuple(
        ",".join(gpus[first : first + per_cell]) for first in range(0, len(gpus) - per_cell + 1, per_cell)
    )
