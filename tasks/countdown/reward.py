"""The verifier of expressions."""

from rpo_bench.data.row import Prompt
from rpo_bench.verifier import Verifier
from tasks.countdown.expressions import read
from tasks.countdown.problems import asked


@Verifier
def right_expression(prompt: Prompt, response: str) -> bool | None:
    """Whether the response is an expression that uses each given number once and has the wanted value.

    A response that can't be read as an expression (``expressions.read`` says what can) is wrong. A prompt
    that poses no problem of this world has no answer.
    """
    problem = asked(prompt.text)
    if problem is None:
        return None
    expression = read(response)
    if expression is None or expression.numbers != tuple(sorted(problem.numbers)):
        return False
    return expression.value == problem.target
