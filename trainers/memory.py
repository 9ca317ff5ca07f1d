"""Memory of a device: its peak in a stretch of work, and work that goes on when it runs out."""

import gc
import resource
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from trainers.errors import UserError

_Found = TypeVar("_Found")

#: What helps when memory runs out.
ADVICE = (
    "give --gradient-checkpointing, --optim adafactor, a smaller --max-length, --lora-rank, or a smaller "
    "model (docs/large-models.md)."
)
#: In errors that have no type of their own: of the processor, and of CUDA's matrix products.
_SAID = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


def reset_peak_memory(device: torch.device) -> None:
    """Starts a new measurement."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:  # Linux can reset the process's high-water mark; elsewhere it covers the process's lifetime
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory in use since the reset: the device's, or the process's resident set on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def halving(
    size: int, least: int, attempt: Callable[[int], _Found], unit: str = "rows"
) -> tuple[_Found, int]:
    """The result of work done so many rows at a time, half as many whenever memory runs out.

    Args:
        size: rows at a time at first.
        least: rows below which there is no point in going on.
        attempt: does all of the work with that many rows at a time, from its beginning.
        unit: what ``size`` counts.

    Returns:
        The result, and how many rows at a time fitted.

    Raises:
        UserError: not even ``least`` rows fit.
    """
    while True:
        try:
            return attempt(size), size
        except Exception as error:  # torch's errors for the processor have no type of their own
            if not is_out_of_memory(error):
                raise
            if size <= least:
                raise UserError(f"Out of memory with {size} {unit} at a time: {ADVICE}") from None
        size = max(least, size // 2)  # outside the handler, which would keep the failed work's tensors
        release()
        warnings.warn(f"Out of memory: trying again with {size} {unit} at a time.", stacklevel=2)


@contextmanager
def telling_of_memory(advice: str) -> Iterator[None]:
    """A block in which memory that runs out is a UserError, with advice."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise UserError(f"Out of memory: {advice}") from error
        raise


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device's memory, or that of the process, has run out."""
    named = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return named or (isinstance(error, RuntimeError) and any(text in str(error) for text in _SAID))


def release() -> None:
    """Gives unused memory back, for other engines on the same device."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing without a GPU in use
