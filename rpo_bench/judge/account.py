"""Counts of a run's calls to a judge."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Account:
    """Counts of a run's calls to a judge; ``made`` is the sum of scored, unscored and failed.

    Attributes:
        made: Calls finished in this run.
        stored: Calls with a stored reply from before.
        scored: Calls with a verdict.
        unscored: Reason for a missing verdict → number of calls.
        failed: Reason for a missing reply → number of calls; the next run retries them.
        second_tries: Calls whose first reply couldn't be parsed.
        retries: Repeated HTTP requests.
        tokens: Input and output tokens.
        estimated: Replies for which the server reported no token counts.
        cost: Cost at the budget's prices.
        seconds: Wall-clock time of the run.
        latency: Mean seconds per call.
        stopped: Whether the budget stopped the run early.
    """

    made: int = 0
    stored: int = 0
    scored: int = 0
    unscored: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    second_tries: int = 0
    retries: int = 0
    tokens: tuple[int, int] = (0, 0)
    estimated: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    latency: float = 0.0
    stopped: bool = False
