"""Many questions at once: p-values adjusted for how many were asked."""

from collections.abc import Callable, Sequence

import numpy as np

from rpo_bench.stats.arrays import Floats


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment: rejecting where it is ≤ α keeps the chance of any false claim ≤ α.

    Whatever the dependence of the tests (Holm, Scandinavian Journal of Statistics 6, 1979). None, a test that
    could not be made, stays None and still counts as a question that was asked.

    Args:
        p_values: K of them.
    """

    def step_down(ordered: Floats, total: int) -> Floats:
        return np.asarray(np.maximum.accumulate((total - np.arange(len(ordered))) * ordered))

    return _adjusted(p_values, step_down)


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Benjamini–Hochberg q-values: taking those ≤ q keeps the expected share of false claims ≤ q.

    For independent or positively dependent tests (JRSS B 57, 1995). None is treated as in ``holm``.

    Args:
        p_values: K of them.
    """

    def step_up(ordered: Floats, total: int) -> Floats:
        raised = ordered * total / (np.arange(len(ordered)) + 1)
        return np.asarray(np.minimum.accumulate(raised[::-1])[::-1])

    return _adjusted(p_values, step_up)


def _adjusted(p_values: Sequence[float | None], rule: Callable[[Floats, int], Floats]) -> list[float | None]:
    """Applies a rule on the ordered p-values (K',) and the number of questions."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    found: list[float | None] = [None] * len(p_values)
    if known:
        raised = rule(np.array([p for p, _ in known]), len(p_values))
        for (_, i), value in zip(known, raised, strict=True):
            found[i] = min(1.0, float(value))
    return found
