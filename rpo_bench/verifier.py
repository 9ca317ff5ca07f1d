"""A verifier: a reward that is 1 for a right answer and 0 for any other."""

import functools
from collections.abc import Callable, Sequence

from rpo_bench.data.row import Prompt

#: Whether a response answers a prompt rightly; None where the prompt has no answer that is known.
Check = Callable[[Prompt, str], bool | None]


class Verifier:
    """A reward function made of a rule that tells right from wrong; results then report accuracy and pass@k.

    A response that the rule can't read is wrong, not unscored: it has no right answer in it. What a rule
    can read is the rule's to say. A prompt without a known answer gives None, unscored whatever is answered.

    Use it as a decorator::

        @Verifier
        def right(prompt: Prompt, response: str) -> bool | None:
            return response.strip() == prompt.metadata.get("answer")

    Args:
        check: the rule.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        functools.update_wrapper(self, check)

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> list[float | None]:
        """Scores N responses to N prompts by 1, 0 or None."""
        pairs = zip(prompts, responses, strict=True)
        verdicts = [self._check(prompt, response) for prompt, response in pairs]
        return [None if verdict is None else float(verdict) for verdict in verdicts]

    def unanswerable(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """The prompts without a known answer: nothing can be right about them."""
        return [prompt for prompt in prompts if self._check(prompt, "") is None]
