"""The method registry, and the gradient coefficients of each method's loss."""

from rpo_bench.methods.registry import METHODS

__all__ = ["METHODS"]
