"""Methods by name, and the coefficient that each loss puts on every log-ratio."""

from rpo_bench.methods.registry import METHODS

__all__ = ["METHODS"]
