"""What could have been found: the minimum detectable effect."""

import math

from rpo_bench.stats.quantiles import normal_quantile, t_quantile


def detectable(error: float, freedom: float, *, level: float = 0.95, power: float = 0.8) -> float:
    """The true effect that a two-sided test at 1 − ``level`` finds with probability ``power``.

    (t_{level} + t_{power}) · error; the usual approximation of the noncentral t (Bloom, Evaluation Review
    19, 1995).

    Args:
        error: The estimate's standard error.
        freedom: Its degrees of freedom; infinite for a known error.
        level: One less the size of the test.
        power: The probability of finding it.
    """
    if not 0.5 < power < 1:
        raise ValueError(f"power must lie between 0.5 and 1, not {power}")
    quantile = t_quantile if math.isfinite(freedom) else _normal
    return error * (quantile(level, freedom) + quantile(2 * power - 1, freedom))


def _normal(level: float, _: float) -> float:
    return normal_quantile(level)
