"""What a record means: the three shapes of scored responses, and what is wrong with one that has none."""

from collections.abc import Mapping
from typing import Any

from rpo_bench.data.fields import (
    BadRecordError,
    kind_of,
    metadata,
    number,
    numbers,
    optional_number,
    present,
    text,
)
from rpo_bench.data.row import PAIR, PREFERRED, Row
from rpo_bench.data.sources import Record
from rpo_bench.hashing import hash_json

ASSISTANT = "\n\nAssistant:"
SHAPES = "{prompt, response, reward}, {prompt, responses: [{text, reward}]} or {chosen, rejected} (+ prompt)"
_OF_PROMPT = frozenset({"prompt", "prompt_id", "split", "reference_rewards", "metadata"})
_FLAT = frozenset({"response", "reward", "behaviour_logp"})
_PAIR = frozenset({"chosen", "rejected"})


def rows_of(record: Record, source: str) -> list[Row]:
    """The rows that a record stands for: one, one per response, or two of a preference pair.

    Raises:
        BadRecordError: it has none of the known shapes, or a field is missing or wrong.
    """
    value = record.value
    shapes = [
        ("response" in value or "reward" in value, _flat),
        ("responses" in value, _nested),
        ("chosen" in value or "rejected" in value, _pair),
    ]
    fitting = [reader for fits, reader in shapes if fits]
    if len(fitting) != 1:
        what = "none" if not fitting else "more than one"
        columns = ", ".join(str(column) for column in value) or "nothing"
        raise BadRecordError(f"it has the columns {columns}, which is {what} of the shapes {SHAPES}")
    return fitting[0](record, f"{source} {record.where}")


def _flat(record: Record, place: str) -> list[Row]:
    value, textual = record.value, record.textual
    prompt = prompt_text(value)
    shared = _of_prompt(value, record, prompt)
    row = Row(
        prompt=prompt,
        response=text(value, "response"),
        reward=number(value, "reward", textual),
        behaviour_logp=optional_number(value, "behaviour_logp", textual),
        metadata=metadata(value, _OF_PROMPT | _FLAT, textual),
        source=place,
        **shared,
    )
    return [row]


def _nested(record: Record, place: str) -> list[Row]:
    value = record.value
    prompt = prompt_text(value)
    shared = _of_prompt(value, record, prompt)
    common = metadata(value, _OF_PROMPT | {"responses"}, record.textual)
    rows = []
    for i, answer in enumerate(_answers(value["responses"])):
        within = f"responses[{i}]"
        if not isinstance(answer, Mapping):
            raise BadRecordError(f"'{within}' is {kind_of(answer)}, where {{text, reward}} is wanted")
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
    """The list of answers; a table stored by columns ({text: [...], reward: [...]}) is turned round."""
    if isinstance(value, Mapping) and value and all(isinstance(column, list) for column in value.values()):
        if len({len(column) for column in value.values()}) != 1:
            raise BadRecordError("the columns of 'responses' differ in length")
        return [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]
    if not isinstance(value, list):
        raise BadRecordError(f"'responses' is {kind_of(value)}, where a list of {{text, reward}} is wanted")
    if not value:
        raise BadRecordError("'responses' is empty")
    return value


def _pair(record: Record, place: str) -> list[Row]:
    """Two rows with the rewards 1 and 0; their metadata says which pair they are and which of the two."""
    value = record.value
    chosen, rejected = text(value, "chosen"), text(value, "rejected")
    given = value.get("prompt")
    if (present(given) if record.textual else given) is None:
        prompt = common_prompt(chosen, rejected)
        chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
    else:
        prompt = prompt_text(value)
    shared = _of_prompt(value, record, prompt)
    others = metadata(value, _OF_PROMPT | _PAIR, record.textual)
    return [
        Row(
            prompt=prompt,
            response=response,
            reward=reward,
            metadata=others | {PAIR: record.number, PREFERRED: reward == 1.0},
            source=place,
            **shared,
        )
        for response, reward in ((chosen, 1.0), (rejected, 0.0))
    ]


def common_prompt(chosen: str, rejected: str) -> str:
    r"""The dialogue up to and with the last "\\n\\nAssistant:" that both have in common.

    Raises:
        BadRecordError: they have no such beginning in common, or nothing but it.
    """
    end = chosen.rfind(ASSISTANT)
    while end >= 0:
        prompt = chosen[: end + len(ASSISTANT)]
        if rejected.startswith(prompt):
            break
        end = chosen.rfind(ASSISTANT, 0, end)
    if end < 0:
        raise BadRecordError(
            r"'chosen' and 'rejected' have no '\n\nAssistant:' turn in common to end the prompt: "
            "add a 'prompt' column"
        )
    if not chosen[:end].strip():
        raise BadRecordError(r"nothing comes before the '\n\nAssistant:' of 'chosen' and 'rejected'")
    return chosen[: end + len(ASSISTANT)]


def prompt_text(value: Mapping[str, Any]) -> str:
    """The prompt; raises BadRecordError when there is nothing in it to read."""
    prompt = text(value, "prompt")
    if not prompt.strip():
        raise BadRecordError("'prompt' is empty")
    return prompt


def prompt_id_of(prompt: str) -> str:
    """The identity of a prompt that comes without one: 16 hex digits of its text's hash."""
    return hash_json(prompt)[:16]


def _of_prompt(value: Mapping[str, Any], record: Record, prompt: str) -> dict[str, Any]:
    """The fields that belong to the prompt, not to one response."""
    given = present(value.get("prompt_id"))
    if given is not None and (isinstance(given, bool) or not isinstance(given, str | int)):
        raise BadRecordError(f"'prompt_id' is {kind_of(given)}, where a text or a whole number is wanted")
    split = present(value.get("split")) or record.split
    if split is not None and not isinstance(split, str):
        raise BadRecordError(f"'split' is {kind_of(split)}, where a text is wanted")
    return {
        "prompt_id": prompt_id_of(prompt) if given is None else str(given),
        "split": split,
        "reference_rewards": numbers(value, "reference_rewards", record.textual),
    }
