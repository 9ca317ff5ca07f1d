"""The verifier of sums."""

from rpo_bench.data.row import Prompt
from rpo_bench.verifier import Verifier
from tasks.arithmetic.sums import asked, read


@Verifier
def right_sum(prompt: Prompt, response: str) -> bool | None:
    """Whether the response is the sum, written from the ones upwards.

    A response that can't be read as a number (``sums.read`` says what can) is wrong. A prompt that is no sum
    of this world has no answer.
    """
    problem = asked(prompt.text)
    return None if problem is None else read(response) == problem.value
