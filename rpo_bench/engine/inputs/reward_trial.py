"""Calls a reward function on two responses while planning, so that errors show before training."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.tasks.task import RewardFunction

#: The trial response. Every reward must be able to score plain text.
TRIAL = "This is an answer."

#: Number of trial prompts.
TRIED = 2


def try_reward(function: RewardFunction, what: str, prompts: Sequence[Prompt]) -> None:
    """Calls a reward function once on a trial response.

    Args:
        function: Scores N responses to N prompts.
        what: The flag and its value, for messages.
        prompts: Prompts of the task; the first two are used.

    Raises:
        UserError: It raises, or doesn't return one number or None per response.
    """
    tried = list(prompts[:TRIED])
    try:
        scores = list(function(tried, [TRIAL] * len(tried)))
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{what} was tried on {_answers(len(tried))} and raised {type(error).__name__}: {error}."
        ) from error
    if len(scores) != len(tried):
        raise UserError(f"{what} was tried on {_answers(len(tried))} and returned {len(scores)} scores.")
    for score in scores:
        if score is not None and not _finite(score):
            raise UserError(
                f"{what} was tried on {_answers(len(tried))} and returned {score!r}: return a finite number, "
                "or None for no score."
            )


def _answers(count: int) -> str:
    return "one answer" if count == 1 else f"{count} answers"


def _finite(score: Any) -> bool:
    try:
        return bool(np.isfinite(float(score)))
    except (TypeError, ValueError):
        return False
