"""Checks offline methods that run in rounds, before anything is trained."""

from collections.abc import Sequence
from itertools import product

from rpo_bench.engine.inputs.choices import Choice
from rpo_bench.engine.inputs.rewards import GOLD, TRAIN_FLAG
from rpo_bench.errors import UserError
from rpo_bench.spec.schema import RunSpec
from trainers.objective import OfflineMethod
from trainers.round_checks import check_rounds


def check_sampling_rounds(choices: Sequence[Choice], spec: RunSpec) -> None:
    """Checks the options of methods in rounds at every budget; raises UserError that names one."""
    training = spec.training
    for choice, budget in product(choices, spec.budgets):
        method = choice.method
        if not isinstance(method, OfflineMethod):
            continue
        check_rounds(method, training.steps * budget, training.batch_size)
        if method.rounds and method.reads_logged and training.reward != GOLD:
            raise UserError(
                f"{choice.spec.label} learns from rewards in the data beside those of its samples, which "
                f"{TRAIN_FLAG} {training.reward} measures otherwise: use the gold reward, or fresh=1 and a "
                "method without reference samples."
            )
