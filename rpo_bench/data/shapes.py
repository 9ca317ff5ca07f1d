"""Converts records to rows: the known shapes of scored responses, and errors for any other."""

import bisect
from collections.abc import Mapping
from typing import Any

from rpo_bench.data.chat import prompt_and_answers, prompt_of_turns, turns_in
from rpo_bench.data.conversation import plain
from rpo_bench.data.excerpt import listed
from rpo_bench.data.fields import (
    BadRecordError,
    metadata,
    number,
    numbers,
    optional_number,
    present,
    spelt_list,
    text,
    truth,
    unicode,
)
from rpo_bench.data.numbers import kind_of
from rpo_bench.data.row import Row
from rpo_bench.data.sources import Record
from rpo_bench.files.hashing import hash_json

ASSISTANT = "\n\nAssistant:"
SHAPES = (
    "{prompt, response, reward}, {messages, reward}, {prompt, completion, label}, "
    "{prompt, responses: [{text, reward}]} or {chosen, rejected} (+ prompt)"
)
_OF_PROMPT = frozenset({"prompt", "prompt_id", "split", "reference_rewards", "metadata"})
_FLAT = frozenset({"response", "reward", "behaviour_logp"})
_PAIR = frozenset({"chosen", "rejected"})


def rows_of(record: Record, source: str) -> list[Row]:
    """Converts a record to rows: one, one per response, or two for a preference pair.

    Raises:
        BadRecordError: it has no known shape, or a field is missing or invalid.
    """
    value = record.value
    shapes = [
        (("response", "completion", "reward"), _flat),
        (("responses",), _nested),
        (("chosen", "rejected"), _pair),
    ]
    for there in (_given, lambda record, name: name in record.value):  # null columns count if all are null
        fitting = [reader for names, reader in shapes if any(there(record, name) for name in names)]
        if not fitting and there(record, "messages"):
            fitting = [_flat]
        if fitting:
            break
    if len(fitting) != 1:
        what = "none" if not fitting else "more than one"
        columns = listed(value) or "nothing"
        raise BadRecordError(
            f"it has the columns {columns}, which match {what} of the shapes {SHAPES}; name "
            "your own columns with --prompt-column, --response-column, --reward-column and so on"
        )
    return fitting[0](record, f"{source} {record.where}")


def _given(record: Record, name: str) -> bool:
    found = record.value.get(name)
    return (present(found) if record.textual else found) is not None


def _flat(record: Record, place: str) -> list[Row]:
    value, textual = record.value, record.textual
    found = [name for name in ("response", "completion", "messages") if _given(record, name)]
    field = found[0] if found else "response"
    prompt, (response,) = _contents(record, (field,))
    reward, label = _judged(record)
    used = {field} if label is None else {field, "label"}
    row = Row(
        prompt=prompt,
        response=response,
        reward=reward,
        label=label,
        behaviour_logp=optional_number(value, "behaviour_logp", textual),
        metadata=metadata(value, _OF_PROMPT | _FLAT | used, textual),
        source=place,
        **_of_prompt(value, record, prompt),
    )
    return [row]


def _judged(record: Record) -> tuple[float, bool | None]:
    """The reward and the label; without a reward, the label gives 1 or 0."""
    value, textual = record.value, record.textual
    if _given(record, "reward") or not _given(record, "label"):
        return number(value, "reward", textual), None
    try:
        label = truth(value, "label", textual)
    except BadRecordError as error:
        raise BadRecordError(f"'reward' is missing, and {error}") from None
    return float(label), label


def _contents(record: Record, fields: tuple[str, ...]) -> tuple[str, list[str]]:
    """The prompt and the responses in ``fields``, as texts or messages."""
    value, textual = record.value, record.textual
    found = prompt_and_answers(value, fields, textual)
    if found is not None:
        return found
    if "messages" in fields:
        kind = kind_of(value["messages"])
        raise BadRecordError(f"'messages' is {kind}, but must be a list of messages")
    return prompt_of(value, textual), [text(value, field) for field in fields]


def _nested(record: Record, place: str) -> list[Row]:
    value = record.value
    prompt = prompt_of(value, record.textual)
    shared = _of_prompt(value, record, prompt)
    common = metadata(value, _OF_PROMPT | {"responses"}, record.textual)
    rows = []
    given = value["responses"]
    if record.textual and isinstance(given, str):
        given = spelt_list(given, "responses")
    for i, answer in enumerate(_answers(given)):
        within = f"responses[{i}]"
        if not isinstance(answer, Mapping):
            raise BadRecordError(f"'{within}' is {kind_of(answer)}, but must be {{text, reward}}")
        row = Row(
            prompt=prompt,
            response=text(answer, "text", within),
            reward=number(answer, "reward", within=within),
            behaviour_logp=optional_number(answer, "behaviour_logp", within=within),
            metadata=common | metadata(answer, frozenset({"text", "reward", "behaviour_logp", "metadata"})),
            source=place,
            **shared,
        )
        rows.append(row)
    return rows


def _answers(value: Any) -> list[Any]:
    """The list of responses; a table stored by columns ({text: [...], reward: [...]}) is transposed."""
    if isinstance(value, Mapping) and value and all(isinstance(column, list) for column in value.values()):
        if len({len(column) for column in value.values()}) != 1:
            raise BadRecordError("the columns of 'responses' differ in length")
        return [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]
    if not isinstance(value, list):
        raise BadRecordError(f"'responses' is {kind_of(value)}, but must be a list of {{text, reward}}")
    if not value:
        raise BadRecordError("'responses' is empty")
    return value


def _pair(record: Record, place: str) -> list[Row]:
    """Two rows with the rewards 1 and 0 and their pair's id."""
    value = record.value
    if turns_in(value, "chosen", record.textual) is None and not _given(record, "prompt"):
        chosen, rejected = text(value, "chosen"), text(value, "rejected")
        prompt = common_prompt(chosen, rejected)
        chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
    else:
        prompt, (chosen, rejected) = _contents(record, ("chosen", "rejected"))
    shared = _of_prompt(value, record, prompt)
    return [
        Row(
            prompt=prompt,
            response=response,
            reward=reward,
            pair=pair_of(record),
            metadata=metadata(value, _OF_PROMPT | _PAIR, record.textual),
            source=place,
            **shared,
        )
        for response, reward in ((chosen, 1.0), (rejected, 0.0))
    ]


def pair_of(record: Record) -> str:
    """The id of a record's pair: its place, which is unique in the source."""
    return str(record.number) if record.split is None else f"{record.split} {record.number}"


def common_prompt(chosen: str, rejected: str) -> str:
    r"""The common dialogue up to and including the last common "\\n\\nAssistant:".

    Raises:
        BadRecordError: there is no such common beginning, or it is empty.
    """
    end = chosen.rfind(ASSISTANT, 0, _in_common(chosen, rejected))
    if end < 0:
        raise BadRecordError(
            r"'chosen' and 'rejected' have no '\n\nAssistant:' turn in common to end the prompt: "
            "add a 'prompt' column"
        )
    if not chosen[:end].strip():
        raise BadRecordError(r"nothing comes before the '\n\nAssistant:' of 'chosen' and 'rejected'")
    return chosen[: end + len(ASSISTANT)]


def _in_common(first: str, second: str) -> int:
    """The number of equal first characters."""
    ends = range(1, min(len(first), len(second)) + 1)
    return bisect.bisect_left(ends, True, key=lambda end: first[:end] != second[:end])


def prompt_of(value: Mapping[str, Any], textual: bool = False) -> str:
    """The prompt, a text or messages; raises BadRecordError when it is empty."""
    turns = turns_in(value, "prompt", textual)
    if turns is not None:
        return prompt_of_turns(turns, "prompt")
    prompt = text(value, "prompt")
    if not prompt.strip():
        raise BadRecordError("'prompt' is empty")
    return prompt


def prompt_id_of(prompt: str) -> str:
    """The default id of a prompt: 16 hex digits of its content hash."""
    return hash_json(plain(prompt))[:16]


def _of_prompt(value: Mapping[str, Any], record: Record, prompt: str) -> dict[str, Any]:
    """The fields that belong to the prompt rather than a response."""
    given = present(value.get("prompt_id"))
    if given is not None and (isinstance(given, bool) or not isinstance(given, str | int)):
        raise BadRecordError(f"'prompt_id' is {kind_of(given)}, but must be a text or a whole number")
    split = present(value.get("split")) or record.split
    if split is not None and not isinstance(split, str):
        raise BadRecordError(f"'split' is {kind_of(split)}, but must be a text")
    return {
        "prompt_id": prompt_id_of(prompt) if given is None else unicode(str(given), "'prompt_id'"),
        "split": None if split is None else unicode(split, "'split'"),
        "reference_rewards": numbers(value, "reference_rewards", record.textual),
    }
