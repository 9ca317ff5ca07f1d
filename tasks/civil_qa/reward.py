"""The gold reward: what a response is worth, as a sum of named terms.

Every term is a function of what ``reading.read`` finds in the text; docs/tasks/civil_qa.md gives the table.
"""

from collections.abc import Sequence

from rpo_bench.data.row import Prompt
from tasks.civil_qa.facts import Key
from tasks.civil_qa.questions import asked
from tasks.civil_qa.reading import Reading, read

EMPTY = -1.5  # for a text without a word
_SHORTEST, _LONGEST = 4, 24  # words that cost nothing


def gold_reward(prompts: Sequence[Prompt], responses: Sequence[str]) -> list[float | None]:
    """Rewards in [−7.5, 1.8] of responses to the world's prompts.

    Args:
        prompts: N prompts, known by their text.
        responses: N texts, whatever they are.

    Returns:
        N rewards; None where the prompt is not one of this world.
    """
    keys = [asked().get(prompt.text) for prompt in prompts]
    pairs = zip(keys, responses, strict=True)
    return [None if key is None else reward(key, response) for key, response in pairs]


def reward(key: Key, response: str) -> float:
    """The reward of one response to the question ``key``."""
    return round(sum(terms(read(key, response)).values()), 4)


def terms(reading: Reading) -> dict[str, float]:
    """What each attribute adds to the reward; their sum is the reward."""
    if reading.words == 0:
        return {"empty": EMPTY}
    answered = reading.right and reading.answers == 1
    courteous = reading.insults == 0
    return {
        "answer": _answer(reading),
        "detail": 0.4 * (answered and reading.true_extras > 0),
        "greeting": 0.2 * (courteous and reading.greeting),
        "farewell": 0.2 * (courteous and reading.farewell),
        "insult": -0.5 * (reading.insults > 0) - 0.3 * min(reading.insults, 3),
        "vague": -0.2 * reading.vague,
        "false extras": -0.3 * min(reading.false_extras, 3),
        "off topic": -0.3 * min(reading.off_topic, 3),
        "repeats": -0.3 * min(reading.repeats, 3),
        "noise": -0.4 * min(reading.noise, 3),
        "short": -0.2 * (reading.words < _SHORTEST),
        "long": -0.05 * min(max(reading.words - _LONGEST, 0), 16),
        "unfinished": -0.2 * reading.unfinished,
    }


def _answer(reading: Reading) -> float:
    """1 for the right answer alone, −0.5 for a wrong one, half of either if hedged; less for several."""
    if reading.answers == 0:
        return -0.25
    if reading.answers > 1:
        return -0.5 - 0.25 * min(reading.answers - 2, 2)
    return (1.0 if reading.right else -0.5) * (0.5 if reading.hedged else 1.0)
