"""Flash attention: which models have it, and the rows that it needs no padding for."""

from typing import Any

from trainers.packing import Packing


def has_flash(model: Any) -> bool:
    """Whether a model's attention is flash attention, of any version or kernel."""
    return "flash" in str(getattr(model.config, "_attn_implementation", None))


def one_row(lengths: list[int]) -> Packing:
    """All sequences in one row: flash attention computes each by itself."""
    return Packing([list(range(len(lengths)))], (sum(lengths),))
