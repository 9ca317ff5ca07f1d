"""A verifier: a reward that is 1 for a correct answer and 0 for any other."""

import functools
from collections.abc import Callable, Sequence

from rpo_bench.data.row import Prompt

#: Whether a response answers a prompt correctly; None if the prompt has no known answer.
Check = Callable[[Prompt, str], bool | None]


class Verifier:
    """A reward function from a correctness check; results then also report accuracy and pass@k.

    A response that the check can't parse is wrong, not unscored. The check decides what it can parse. For a
    prompt without a known answer it returns None, and every response is unscored.

    Use it as a decorator::

        @Verifier
        def right(prompt: Prompt, response: str) -> bool | None:
            return response.strip() == prompt.metadata.get("answer")

    Args:
        check: returns whether a response is correct.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        functools.update_wrapper(self, check)

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> list[float | None]:
        """Scores N responses to N prompts with 1, 0 or None."""
        pairs = zip(prompts, responses, strict=True)
        verdicts = [self._check(prompt, response) for prompt, response in pairs]
        return [None if verdict is None else float(verdict) for verdict in verdicts]

    def unanswerable(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """The prompts without a known answer, which can't be scored."""
        return [prompt for prompt in prompts if self._check(prompt, "") is None]
