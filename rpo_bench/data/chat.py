"""Records that hold messages: lists of {role, content} as prompt, response, or both."""

from collections.abc import Mapping, Sequence
from typing import Any

from rpo_bench.data.conversation import Conversation, Turn
from rpo_bench.data.excerpt import listed
from rpo_bench.data.fields import BadRecordError, present, spelt_list, text
from rpo_bench.data.numbers import kind_of

ANSWERS = "assistant"
#: What a template may show of a message beside its content, and what is not carried along.
_NOT_READ = ("tool_calls", "function_call", "reasoning_content", "thinking")


def turns_in(value: Mapping[str, Any], field: str, textual: bool = False) -> tuple[Turn, ...] | None:
    """The turns of a field that holds messages (in a text file: a list that a cell spells), else None.

    Raises:
        BadRecordError: it is a list of objects, but not of messages that can be read.
    """
    found = value.get(field)
    if textual and isinstance(found, str) and found.lstrip().startswith("[{"):
        found = spelt_list(found, field)
    if not isinstance(found, list | tuple) or not found or not all(isinstance(m, Mapping) for m in found):
        return None
    return tuple(_turn(message, f"{field}[{i}]") for i, message in enumerate(found))


def _turn(message: Mapping[str, Any], name: str) -> Turn:
    if "role" not in message or "content" not in message:
        keys = listed(message) or "nothing"
        raise BadRecordError(f"'{name}' has {keys}, where a message {{role, content}} is wanted")
    hidden = next((key for key in _NOT_READ if message.get(key)), None)
    if hidden is not None:
        raise BadRecordError(f"'{name}' has '{hidden}', and of messages only role and content are read")
    role = text(message, "role", name)
    parts = message["content"]
    if not isinstance(parts, list):
        return Turn(role, text(message, "content", name))
    if not all(isinstance(part, Mapping) and part.get("type") == "text" for part in parts):
        raise BadRecordError(f"'{name}.content' has parts that are no text: only text can be read")
    return Turn(role, "".join(text(part, "text", f"{name}.content[{i}]") for i, part in enumerate(parts)))


def asked(turns: Sequence[Turn], name: str) -> str:
    """The prompt that turns make: the text of a lone user's turn, otherwise the conversation.

    Raises:
        BadRecordError: there is nothing in them, or an assistant has the last word.
    """
    if not any(content.strip() for _, content in turns):
        raise BadRecordError(f"'{name}' is empty")
    if turns[-1].role == ANSWERS:
        raise BadRecordError(f"the last turn of '{name}' before the response is an assistant's already")
    if len(turns) == 1 and turns[0].role == "user":
        return turns[0].content
    return Conversation(turns)


def prompt_and_answers(
    value: Mapping[str, Any], fields: Sequence[str], textual: bool = False
) -> tuple[str, list[str]] | None:
    """The prompt, and the responses of ``fields``, where those hold messages; None where they hold text.

    With a ``prompt`` the responses are one assistant's turn each, or begin with the turns of the prompt.
    Without one they are whole conversations: what they have in common, up to their last turn, is the prompt.

    Raises:
        BadRecordError: names what is wrong with which message.
    """
    answers = [turns_in(value, field, textual) for field in fields]
    if all(turns is None for turns in answers):
        return None
    for field, turns in zip(fields, answers, strict=True):
        if turns is None:
            raise BadRecordError(f"'{field}' is {kind_of(value.get(field))}, where messages are wanted")
    whole = [turns for turns in answers if turns is not None]
    given = turns_in(value, "prompt", textual)
    before = len(given) if given is not None and all(_goes_on(turns, given) for turns in whole) else 0
    if given is None:
        before = _in_common(whole)
        given = whole[0][:before] if before else None
        _check_text(value, fields[0], given)
    responses = [_answer(turns[before:], field) for turns, field in zip(whole, fields, strict=True)]
    if given is None:
        return text(value, "prompt"), responses
    return asked(given, fields[0] if before else "prompt"), responses


def _goes_on(turns: Sequence[Turn], start: Sequence[Turn]) -> bool:
    return len(turns) > len(start) and tuple(turns[: len(start)]) == tuple(start)


def _in_common(conversations: Sequence[Sequence[Turn]]) -> int:
    """How many first turns are equal in all of them, the last of each left out."""
    most = min(len(turns) for turns in conversations) - 1
    for i in range(most):
        if any(turns[i] != conversations[0][i] for turns in conversations):
            return i
    return most


def _check_text(value: Mapping[str, Any], field: str, turns: Sequence[Turn] | None) -> None:
    """A prompt given as text beside whole conversations has to be one of their turns, or it would be lost."""
    given = present(value.get("prompt"))
    if turns is None or given is None:
        return
    if not isinstance(given, str) or all(given.strip() != content.strip() for _, content in turns):
        raise BadRecordError(f"'prompt' is none of the turns of '{field}': leave one of the two out")


def _answer(turns: Sequence[Turn], field: str) -> str:
    if len(turns) != 1 or turns[0].role != ANSWERS:
        roles = listed(turn.role for turn in turns) or "nothing"
        raise BadRecordError(
            f"'{field}' has the turns {roles} behind the prompt, where one turn of the assistant is wanted"
        )
    return turns[0].content
