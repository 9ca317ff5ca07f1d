"""Checks offline methods that run in rounds, before anything is trained."""

from collections.abc import Iterable, Sequence
from itertools import product

from rpo_bench.engine.inputs.choices import Choice
from trainers.objective import OfflineMethod
from trainers.rounds import check_rounds


def check_sampling_rounds(choices: Sequence[Choice], steps: Iterable[int]) -> None:
    """Checks the options of methods in rounds at every number of steps; raises UserError that names one."""
    for choice, number in product(choices, sorted(set(steps))):
        if isinstance(choice.method, OfflineMethod):
            check_rounds(choice.method, number)
