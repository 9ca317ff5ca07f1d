"""Prompts of several turns, usable as text and as turns for chat templates."""

import json
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

import regex  # type: ignore[import-untyped]
from pydantic import Field, PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator

#: Python normalises a run of marks in quadratic time. Long runs are therefore split, as in Unicode's
#: stream-safe format (UAX #15).
_MARKS = regex.compile(r"\p{M}{100}(?=\p{M})")


class Turn(NamedTuple):
    """A role and its text."""

    role: str
    content: str


class Conversation(str):
    """The turns of a chat as one prompt.

    As text it reads "User: …", "Assistant: …", "User: …", separated by empty lines. Judges, the page and
    reward models without a chat template get this text. Policies get the turns through a chat template. It
    equals only a conversation with the same turns, never a plain text.

    Attributes:
        turns: one or more turns.
    """

    turns: tuple[Turn, ...]

    def __new__(cls, turns: Iterable[Turn]) -> "Conversation":
        """Makes a conversation of turns, in order."""
        kept = tuple(turns)
        self = super().__new__(cls, "\n\n".join(f"{role.capitalize()}: {said}" for role, said in kept))
        self.turns = kept
        return self

    @property
    def messages(self) -> list[dict[str, str]]:
        """The turns as messages for chat templates and JSON."""
        return [turn._asdict() for turn in self.turns]

    def __getnewargs__(self) -> tuple[Any, ...]:
        """For pickle and copy."""
        return (self.turns,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Conversation) and self.turns == other.turns

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.turns)


def plain(prompt: str) -> str | list[dict[str, str]]:
    """A prompt for JSON: a text, or the messages of a conversation."""
    return prompt.messages if isinstance(prompt, Conversation) else prompt


def alike(prompt: str) -> str:
    """A key shared by prompts that differ only in spacing, case or Unicode form (NFKC).

    A policy sees almost the same tokens, so such prompts are never on both sides of a split. Conversations
    are compared turn by turn, and never match a text.
    """
    if isinstance(prompt, Conversation):
        return json.dumps([[turn.role, alike(turn.content)] for turn in prompt.turns])
    text = prompt if prompt.isascii() else _MARKS.sub("\\g<0>\u034f", prompt)
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


def identity(prompt: str) -> str:
    """A unique text for a prompt: its own, or the messages of a conversation."""
    return json.dumps(prompt.messages) if isinstance(prompt, Conversation) else prompt


def _taken(value: Any, check: ValidatorFunctionWrapHandler) -> str:
    if isinstance(value, Conversation):
        return value
    if isinstance(value, list | tuple) and value:
        if not all(isinstance(one, dict) and {"role", "content"} <= set(one) for one in value):
            raise ValueError("a list that isn't one of messages {role, content}")
        return Conversation(Turn(str(one["role"]), str(one["content"])) for one in value)
    text: str = check(value)
    return text


#: A field with a text or a conversation; in JSON the latter is a list of messages.
PromptText = Annotated[
    str, Field(min_length=1), WrapValidator(_taken), PlainSerializer(plain, return_type=Any)
]
