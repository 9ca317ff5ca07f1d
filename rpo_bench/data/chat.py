"""Reads records with messages: lists of {role, content} as prompt, response, or both."""

from collections.abc import Mapping, Sequence
from typing import Any

from rpo_bench.data.conversation import Conversation, Turn
from rpo_bench.data.excerpt import listed
from rpo_bench.data.fields import BadRecordError, present, spelt_list, text
from rpo_bench.data.numbers import kind_of

ANSWERS = "assistant"
#: Further fields of a message that templates may show, and which aren't supported.
_NOT_READ = ("tool_calls", "function_call", "reasoning_content", "thinking")


def turns_in(value: Mapping[str, Any], field: str, textual: bool = False) -> tuple[Turn, ...] | None:
    """The turns of a field with messages (in a text file, a list spelt in a cell), else None.

    Raises:
        BadRecordError: it is a list of objects that aren't valid messages.
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
        raise BadRecordError(f"'{name}' has {keys}, but must be a message {{role, content}}")
    hidden = next((key for key in _NOT_READ if message.get(key)), None)
    if hidden is not None:
        raise BadRecordError(f"'{name}' has '{hidden}', but only role and content of messages are read")
    role = text(message, "role", name)
    parts = message["content"]
    if not isinstance(parts, list):
        return Turn(role, text(message, "content", name))
    if not all(isinstance(part, Mapping) and part.get("type") == "text" for part in parts):
        raise BadRecordError(f"'{name}.content' has parts that aren't text: only text can be read")
    return Turn(role, "".join(text(part, "text", f"{name}.content[{i}]") for i, part in enumerate(parts)))


def prompt_of_turns(turns: Sequence[Turn], name: str) -> str:
    """The prompt of turns: the text of a single user turn, otherwise the conversation.

    Raises:
        BadRecordError: they are empty, or the last turn is an assistant's.
    """
    if not any(content.strip() for _, content in turns):
        raise BadRecordError(f"'{name}' is empty")
    if turns[-1].role == ANSWERS:
        raise BadRecordError(f"the last turn of '{name}' before the response is already an assistant's")
    if len(turns) == 1 and turns[0].role == "user":
        return turns[0].content
    return Conversation(turns)


def prompt_and_answers(
    value: Mapping[str, Any], fields: Sequence[str], textual: bool = False
) -> tuple[str, list[str]] | None:
    """The prompt and the responses in ``fields`` if those hold messages; None if they hold text.

    With a ``prompt``, each response is one assistant turn, or begins with the prompt's turns. Without one,
    they are whole conversations, and the prompt is their common beginning before the last turn.

    Raises:
        BadRecordError: a message is invalid; the text names it.
    """
    answers = [turns_in(value, field, textual) for field in fields]
    if all(turns is None for turns in answers):
        return None
    for field, turns in zip(fields, answers, strict=True):
        if turns is None:
            raise BadRecordError(f"'{field}' is {kind_of(value.get(field))}, but must be messages")
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
    return prompt_of_turns(given, fields[0] if before else "prompt"), responses


def _goes_on(turns: Sequence[Turn], start: Sequence[Turn]) -> bool:
    return len(turns) > len(start) and tuple(turns[: len(start)]) == tuple(start)


def _in_common(conversations: Sequence[Sequence[Turn]]) -> int:
    """The number of equal first turns, without each conversation's last."""
    most = min(len(turns) for turns in conversations) - 1
    for i in range(most):
        if any(turns[i] != conversations[0][i] for turns in conversations):
            return i
    return most


def _check_text(value: Mapping[str, Any], field: str, turns: Sequence[Turn] | None) -> None:
    """Checks that a text prompt given with whole conversations is one of their turns; else it'd be lost."""
    given = present(value.get("prompt"))
    if turns is None or given is None:
        return
    if not isinstance(given, str) or all(given.strip() != content.strip() for _, content in turns):
        raise BadRecordError(f"'prompt' isn't a turn of '{field}': leave one of the two out")


def _answer(turns: Sequence[Turn], field: str) -> str:
    if len(turns) != 1 or turns[0].role != ANSWERS:
        roles = listed(turn.role for turn in turns) or "nothing"
        raise BadRecordError(
            f"'{field}' has the turns {roles} after the prompt, but must have one assistant turn"
        )
    return turns[0].content
