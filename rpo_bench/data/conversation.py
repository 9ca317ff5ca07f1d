"""A prompt of several turns: text wherever text is wanted, turns where a chat template is to write them."""

import json
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

import regex  # type: ignore[import-untyped]
from pydantic import Field, PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator

#: Python takes the square of the length to normalise a run of marks: long ones are parted, as Unicode's
#: stream-safe format (UAX #15) parts them.
_MARKS = regex.compile(r"\p{M}{100}(?=\p{M})")


class Turn(NamedTuple):
    """Who says what."""

    role: str
    content: str


class Conversation(str):
    """The turns of a chat as one prompt.

    As text it reads "User: …", "Assistant: …", "User: …", an empty line between two: that is what judges, the
    page and reward models without a chat template are shown. A policy gets the turns through a chat template.
    It equals a conversation of the same turns only, never a text that happens to read alike.

    Attributes:
        turns: at least one.
    """

    turns: tuple[Turn, ...]

    def __new__(cls, turns: Iterable[Turn]) -> "Conversation":
        """Takes the turns in their order."""
        kept = tuple(turns)
        self = super().__new__(cls, "\n\n".join(f"{role.capitalize()}: {said}" for role, said in kept))
        self.turns = kept
        return self

    @property
    def messages(self) -> list[dict[str, str]]:
        """The turns as chat templates and JSON have them."""
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
    """A prompt as JSON has it: a text, or the messages of a conversation."""
    return prompt.messages if isinstance(prompt, Conversation) else prompt


def alike(prompt: str) -> str:
    """What prompts have in common that differ in spacing, case or Unicode form (NFKC) alone.

    A policy sees next to the same tokens of them, so they are never on both sides of a split. A conversation
    has only others in common with it, turn by turn.
    """
    if isinstance(prompt, Conversation):
        return json.dumps([[turn.role, alike(turn.content)] for turn in prompt.turns])
    text = prompt if prompt.isascii() else _MARKS.sub("\\g<0>\u034f", prompt)
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


def identity(prompt: str) -> str:
    """A text that stands for a prompt and for no other: its own, or the messages of a conversation."""
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


#: A field that holds a text, or a conversation; as JSON the latter is a list of messages.
PromptText = Annotated[
    str, Field(min_length=1), WrapValidator(_taken), PlainSerializer(plain, return_type=Any)
]
