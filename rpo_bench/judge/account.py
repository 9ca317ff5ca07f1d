"""What became of the calls to a judge."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Account:
    """What became of a run's calls: ``made`` is the sum of scored, unscored and failed.

    Attributes:
        made: Calls that were finished in this run.
        stored: Calls that had a reply before.
        scored: Calls with a verdict.
        unscored: Why the others have none → how many.
        failed: Calls without a reply → how many; the next run tries them again.
        second_tries: Calls whose first reply couldn't be read.
        retries: HTTP requests that were repeated.
        tokens: In and out.
        estimated: Replies whose tokens the server didn't tell.
        cost: By the budget's prices.
        seconds: Wall clock of the run.
        latency: Seconds per call, in the mean.
        stopped: Whether the budget ended the run before its end.
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
