"""The reward metric: any function of prompts and responses."""

import inspect
import math
from collections.abc import Sequence
from typing import Any

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.metrics.protocol import Metric, MetricContext, SampleMetric, Score, Unscored, failure
from rpo_bench.results.samples import StoredSample
from rpo_bench.tasks.task import RewardFunction
from rpo_bench.verifier import Verifier

#: If this many single calls fail and none succeeds, the function is considered broken.
_FAILURES = 5


def reward_metrics(context: MetricContext) -> list[Metric]:
    """The reward metric, if there is a reward; a verifier's also publishes accuracy and pass@k."""
    if context.reward is None:
        return []
    if isinstance(context.reward, Verifier):
        from rpo_bench.metrics.accuracy import Verdicts

        return [Verdicts(context.reward, context.samples_per_prompt, backend=context.reward_name)]
    return [Reward(context.reward, backend=context.reward_name)]


class Reward(SampleMetric):
    """The mean reward. Responses on which the function returns None or fails are unscored, with the reason.

    Args:
        function: (prompts, responses) → numbers, or None for no score.
        name: ``reward`` for the gold reward; another name for a proxy.
        backend: The function's name in results and messages; None: its own name.
    """

    higher_is_better = True

    def __init__(self, function: RewardFunction, name: str = "reward", backend: str | None = None) -> None:
        self.name = name
        self.backend = backend or function_name(function)
        self._function = function

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """Scores all samples in one call, or one by one if that raises, to isolate failures.

        Raises:
            UserError: The number of scores differs from the number of responses.
        """
        texts = [sample.text for sample in samples]
        try:
            return self._call(prompts, texts)
        except UserError:
            raise
        except Exception:
            return self._one_by_one(prompts, texts)

    def _one_by_one(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Score]:
        found: list[Score] = []
        failures = 0
        for prompt, text in zip(prompts, texts, strict=True):
            try:
                found += self._call([prompt], [text])
            except UserError:
                raise
            except Exception as error:
                failures += 1
                found.append(failure(f"{self.backend} raised", error))
                if failures == len(found) == _FAILURES:
                    return found + [found[-1]] * (len(texts) - len(found))
        return found

    def _call(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Score]:
        values = self._function(prompts, texts)
        try:
            count = len(values)
        except TypeError:
            raise UserError(
                f"The reward function {self.backend} must return one number per response, "
                f"not {type(values).__name__}."
            ) from None
        if count != len(texts):
            raise UserError(
                f"The reward function {self.backend} returned {count} scores for {len(texts)} responses."
            )
        return [self._checked(value) for value in values]

    def _checked(self, value: Any) -> Score:
        if value is None:
            return Unscored(f"{self.backend} returned None")
        try:
            number = float(value)
        except (TypeError, ValueError):
            return Unscored(f"{self.backend} returned {type(value).__name__}, not a number")
        return number if math.isfinite(number) else Unscored(f"{self.backend} returned {number}")


def function_name(function: Any) -> str:
    """A function's name, with its file if it has one."""
    name = getattr(function, "__qualname__", getattr(function, "name", type(function).__name__))
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{name} ({code.co_filename.rpartition('/')[2]})" if code else str(name)
