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


class OutOfMemoryError(UserError):
    """Memory has run out with some rows at a time, where this process can't try again by itself.

    Attributes:
        rows: at a time.
        least: rows below which there is no point in trying.
    """

    def __init__(self, rows: int, least: int, unit: str = "rows") -> None:
        """Advises on what else helps."""
        super().__init__(f"Out of memory with {rows} {unit} at a time: {ADVICE}")
        self.rows = rows
        self.least = least


class RowsAtOnce:
    """How many rows memory has room for: half as many whenever it runs out.

    Attributes:
        most: rows at a time; None: all.
    """

    def __init__(self, most: int | None = None, unit: str = "rows", retries: bool = True) -> None:
        """Starts with a limit or without.

        Args:
            most: rows at a time; None: all.
            unit: what is counted.
            retries: whether work is tried again; not where other processes wait for this one's.
        """
        self.most = most
        self._unit = unit
        self._retries = retries

    def run(self, rows: int, least: int, attempt: Callable[[int], _Found]) -> _Found:
        """The result of work, tried with fewer rows at a time until memory is enough.

        Args:
            rows: of the work.
            least: rows below which there is no point in going on.
            attempt: does all of the work with that many rows at a time, from its beginning.

        Raises:
            OutOfMemoryError: not even ``least`` rows fit, or nothing is tried again.
        """
        size = min(self.most or rows, rows)
        while True:
            try:
                return attempt(size)
            except Exception as error:  # torch's errors for the processor have no type of their own
                if not is_out_of_memory(error):
                    raise
                if size <= least or not self._retries:
                    raise OutOfMemoryError(size, least, self._unit) from None
            # Outside the handler, which would keep the failed work's tensors.
            self.most = size = max(least, size // 2)
            release()
            warnings.warn(f"Out of memory: trying again with {size} {self._unit} at a time.", stacklevel=2)


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
