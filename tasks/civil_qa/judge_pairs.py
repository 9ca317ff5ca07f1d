"""What the judge learns from: responses with what they are worth, and pairs of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from numpy.random import Generator

from rpo_bench.data.row import Prompt
from tasks.civil_qa.facts import Key
from tasks.civil_qa.phrases import VAGUE
from tasks.civil_qa.reading import Reading, read
from tasks.civil_qa.reward import terms
from tasks.civil_qa.speakers import SURLY, TYPICAL, Speaker, respond, statement

NONE, RIGHT, WRONG, SEVERAL = range(4)  # what a response answers

_CLOSEST = 0.05  # pairs whose rewards differ by less have no preference
_ODD = 0.06  # share of texts that nobody said: what degenerate policies come to

#: Trained policies are kinder and more often right than their base, and say more.
_KIND = replace(
    TYPICAL, rude=(0.03, 0.05, 0.07, 0.1), right=0.7, wrong=0.2, off_topic=0.04, polite=0.6, extra=0.5
)
_SPEAKERS: tuple[Speaker, ...] = (TYPICAL, SURLY, _KIND, _KIND)


@dataclass(frozen=True)
class Example:
    """One response to a prompt, or two.

    Attributes:
        prompt: The question.
        texts: One or two responses.
        rewards: Of each.
        status: What each answers.
    """

    prompt: str
    texts: tuple[str, ...]
    rewards: tuple[float, ...]
    status: tuple[int, ...]

    @property
    def better(self) -> int:
        """The place of the better of two responses, 0 or 1."""
        return int(self.rewards[1] > self.rewards[0])


def claims(rng: Generator, prompts: Sequence[Prompt], n: int) -> list[Example]:
    """n single claims, right or wrong, each about a prompt that is drawn with replacement."""
    drawn = [prompts[int(rng.integers(len(prompts)))] for _ in range(n)]
    return [_example(p, (statement(rng, TYPICAL, _key(p), rng.random() < 0.5),)) for p in drawn]


def choices(rng: Generator, prompts: Sequence[Prompt], n: int) -> list[Example]:
    """n pairs of responses of unlike worth, each to a prompt that is drawn with replacement."""
    found: list[Example] = []
    while len(found) < n:
        prompt = prompts[int(rng.integers(len(prompts)))]
        one = _example(prompt, (_text(rng, prompt), _text(rng, prompt)))
        if abs(one.rewards[0] - one.rewards[1]) >= _CLOSEST:
            found.append(one)
    return found


def _example(prompt: Prompt, texts: tuple[str, ...]) -> Example:
    readings = [read(_key(prompt), text) for text in texts]
    rewards = tuple(round(sum(terms(one).values()), 4) for one in readings)
    return Example(prompt.text, texts, rewards, tuple(map(_status, readings)))


def _status(reading: Reading) -> int:
    if reading.answers == 0:
        return NONE
    return SEVERAL if reading.answers > 1 else RIGHT if reading.right else WRONG


def _key(prompt: Prompt) -> Key:
    return prompt.metadata["topic"], prompt.metadata["type"]


def _text(rng: Generator, prompt: Prompt) -> str:
    speaker = _SPEAKERS[int(rng.integers(len(_SPEAKERS)))]
    text = respond(rng, speaker, _key(prompt), prompt.metadata["manner"])
    return text if rng.random() >= _ODD else _odd(rng, prompt.text, text)


def _odd(rng: Generator, prompt: str, text: str) -> str:
    """The prompt again, a phrase that fits everything, a text that isn't finished, or one that goes on."""
    words = text.split()
    return (
        prompt,
        VAGUE[int(rng.integers(len(VAGUE)))],
        " ".join(words[: max(1, len(words) // 2)]),
        " ".join([text] * 3),
    )[int(rng.integers(4))]
