"""Whether a safetensors file is whole, without reading its weights."""

import json
from pathlib import Path

from rpo_bench.errors import UserError

_LENGTH_BYTES = 8  # of the number before the header, as the format has it
_LONGEST_HEADER = 100_000_000  # as the format has it
_POINTER = b"version https://git-lfs"


def check_whole(file: Path) -> None:
    """Checks that the file is as long as its own header says.

    Raises:
        UserError: It is cut short, a pointer of Git LFS, or something else.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        first = stream.read(_LENGTH_BYTES)
        if (first + stream.read(len(_POINTER) - _LENGTH_BYTES)) == _POINTER:
            raise UserError(f"{file} is a pointer of Git LFS, not the weights: fetch them by 'git lfs pull'.")
        length = int.from_bytes(first, "little")
        stream.seek(_LENGTH_BYTES)
        header = stream.read(length) if length <= min(size, _LONGEST_HEADER) else b""
    try:
        tensors = json.loads(header)
        ends = [_whole(one["data_offsets"][1]) for name, one in tensors.items() if name != "__metadata__"]
    except (ValueError, AttributeError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise UserError(f"{file} can't be read as safetensors: it is damaged or cut short.") from error
    expected = _LENGTH_BYTES + length + max(ends, default=0)
    if size != expected:
        raise UserError(
            f"{file} can't be read: it has {size:,} bytes where its header says {expected:,}: fetch it again."
        )


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("an offset is no whole number")
    return value
