"""Ranks with their uncertainty."""

import numpy as np

from rpo_bench.stats.arrays import Floats


def rank_intervals(differences_p: Floats, points: Floats, *, alpha: float = 0.05) -> list[tuple[int, int]]:
    """Best and worst rank of each of M items that the pairwise tests leave open; 1 is the highest point.

    An item ranks below every item that is significantly above it, and above every item that is significantly
    below it (Mogstad et al., Review of Economic Studies 91, 2024); with p-values adjusted over all pairs the
    ranks hold together with probability 1 − alpha.

    Args:
        differences_p: Adjusted p-value of each pair's difference, (M, M), symmetric; NaN where there is none.
        points: The estimates, (M,).
        alpha: The chance of any wrong rank.

    Returns:
        (best, worst) of each, 1 … M.
    """
    with np.errstate(invalid="ignore"):
        shown = differences_p <= alpha
    above = shown & (points[None, :] > points[:, None])  # [i, j]: j is above i
    below = shown & (points[None, :] < points[:, None])
    count = len(points)
    return [(1 + int(above[i].sum()), count - int(below[i].sum())) for i in range(count)]
