"""Which way a metric is better: the one place that turns a difference into a better or a worse."""

from typing import Literal

Way = Literal["better", "worse", "higher", "lower"]


def towards_better(higher_is_better: bool | None) -> int:
    """What a difference is multiplied by so that more is better: 1, or −1 where lower is better.

    Where neither is better it is 1, and the difference says no more than higher or lower.
    """
    return -1 if higher_is_better is False else 1


def way(difference: float, higher_is_better: bool | None) -> Way:
    """What a difference other than 0, first − second, says of the first."""
    if higher_is_better is None:
        return "higher" if difference > 0 else "lower"
    return "better" if difference * towards_better(higher_is_better) > 0 else "worse"
