"""Number formats: which one pays where, and the autocast that policy and reference share."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import torch

from trainers.device import process_device
from trainers.errors import UserError

DType = Literal["float32", "bfloat16", "bfloat16-weights"]

#: Passes by bf16 copies of weights that stay in float32 for the optimiser: FSDP2 makes them.
HALF_WEIGHTS = "bfloat16-weights"

#: On the CPU, bf16 pays from about this many parameters on, where the processor has instructions for it.
_BF16_MIN_PARAMETERS = 10_000_000

#: |log-ratio| in nats per token that rounding alone may cause between two passes over the same weights.
LOG_RATIO_TOLERANCE: dict[str, float] = {"float32": 1e-4, "bfloat16": 5e-2, HALF_WEIGHTS: 5e-2}


def resolve_dtype(requested: str, model: Any) -> DType:
    """The format to use: "auto" is bf16 where the device computes in it and the model is large enough."""
    if requested == HALF_WEIGHTS:
        return "bfloat16-weights"
    if next(model.parameters()).dtype == torch.bfloat16:
        return "bfloat16"
    if requested == "float32":
        return "float32"
    if requested == "bfloat16":
        return "bfloat16"
    if requested != "auto":
        raise UserError(
            f"dtype '{requested}' is not supported: use auto, float32, bfloat16 or bfloat16-weights."
        )
    if process_device().type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    large = sum(p.numel() for p in model.parameters()) >= _BF16_MIN_PARAMETERS
    return "bfloat16" if large and _cpu_has_bf16() else "float32"


def autocast(dtype: DType, device: torch.device) -> AbstractContextManager[Any]:
    """Forward passes in ``dtype`` over float32 weights."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype != "float32")


def _cpu_has_bf16() -> bool:
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
