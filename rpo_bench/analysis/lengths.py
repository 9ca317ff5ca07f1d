"""Other people's texts of any length, brought down to what a page can hold, where they enter.

Each stands on the page many times. Nothing is cut later: what the page makes of them, such as its downloads,
is as long as it is.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from rpo_bench.files.hashing import hash_json
from rpo_bench.results.store import Results, StoredRecord

#: Characters of a name: of a task, a model, a method or one of its options, a metric, a backend.
LONGEST_NAME = 200

#: Characters of any other text, such as a command or a reason.
LONGEST_TEXT = 10_000

#: Characters of a prompt or a response, and of all responses of a row, or prompts of a panel, together.
LONGEST_SAMPLE = 20_000
LONGEST_SAMPLES = 8_000_000
_SHORTEST = 200  # of the length that texts are cut to, however many there are

#: Fields of records that are names.
_NAMES = frozenset(("task", "model", "method", "name", "options", "backend", "unit", "strength_name"))


def bounded_results(results: Results) -> Results:
    """The results with every overlong text of theirs cut."""
    return replace(
        results,
        records=tuple(map(bounded_record, results.records)),
        broken=tuple(replace(one, reason=bounded_text(one.reason)) for one in results.broken),
    )


def bounded_record(stored: StoredRecord) -> StoredRecord:
    """The record with overlong texts cut and made unique by a hash; other records unchanged."""
    record = _bounded(stored.record, LONGEST_TEXT)
    return stored if record is stored.record else replace(stored, record=record)


def bounded_name(name: str) -> str:
    """The name, or its beginning with a hash of the whole."""
    return _cut(name, LONGEST_NAME)


def bounded_text(text: str) -> str:
    """The text, or its beginning with the number of omitted characters."""
    rest = len(text) - LONGEST_TEXT
    return text if rest <= 0 else f"{text[:LONGEST_TEXT]}… ({rest:,} more characters)"


def bounded_samples(texts: Sequence[str], file: str) -> list[str]:
    """Prompts or responses, cut to a total that a browser can hold, with the number of omitted characters.

    Args:
        texts: Of a row, or a panel.
        file: Where they are whole.
    """
    longest = _fitting([len(text) for text in texts])
    return [
        text
        if len(text) <= longest
        else f"{text[:longest]}… ({len(text) - longest:,} more characters in {file})"
        for text in texts
    ]


def _fitting(lengths: Sequence[int]) -> int:
    """The length to which texts are cut: the greatest at which they fit together."""
    longest = LONGEST_SAMPLE
    while longest > _SHORTEST and sum(min(length, longest) for length in lengths) > LONGEST_SAMPLES:
        longest = longest * 9 // 10
    return longest


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({hash_json(text)[:8]})"


def _bounded(value: Any, longest: int) -> Any:
    """A value of a record with all its texts cut; the very same where there is nothing to cut."""
    if isinstance(value, str):
        return _cut(value, longest)
    if isinstance(value, BaseModel):
        fields = {name: (of, _bounded(of, _longest(name, longest))) for name, of in value}
        changed = {name: new for name, (old, new) in fields.items() if new is not old}
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, dict):
        items = {_cut(str(key), LONGEST_NAME): _bounded(item, longest) for key, item in value.items()}
        same = all(key in value and value[key] is item for key, item in items.items())
        return value if same else items
    if isinstance(value, (list, tuple)):
        found = type(value)(_bounded(item, longest) for item in value)
        return value if all(a is b for a, b in zip(found, value, strict=True)) else found
    return value


def _longest(field: str, longest: int) -> int:
    return LONGEST_NAME if field in _NAMES else longest
