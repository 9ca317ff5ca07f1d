"""Agreement between two raters beyond chance (Cohen, 1960)."""

from collections import Counter
from collections.abc import Hashable, Sequence


def cohens_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's κ of two raters' categories for the same N items.

    Returns:
        1 for full agreement, 0 for what their habits alone would give; None without items, or where both
        give one category to everything, so that chance alone agrees.
    """
    n = len(first)
    if n != len(second):
        raise ValueError(f"{n} and {len(second)} ratings are not of the same items")
    if n == 0:
        return None
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    one, other = Counter(first), Counter(second)
    chance = sum(one[name] * other[name] for name in one) / n**2
    return None if chance == 1 else (observed - chance) / (1 - chance)
