"""Names of any length, brought down to what a page can hold: each stands on it hundreds of times."""

from dataclasses import replace
from typing import Any

from rpo_bench.hashing import hash_json
from rpo_bench.results.store import StoredRecord

#: Characters of a name of a task, a model, a method or one of its options.
LONGEST_NAME = 200

#: Characters of any other text, such as a command or a reason.
LONGEST_TEXT = 10_000


def bounded_record(stored: StoredRecord) -> StoredRecord:
    """The record with overlong names cut, and told apart by a hash; others as they are."""
    record = stored.record
    method = record.spec.method
    changes = {
        "task": bounded_name(record.spec.task),
        "model": bounded_name(record.spec.model),
        "method": method.model_copy(
            update={"name": bounded_name(method.name), "options": _bounded(method.options)}
        ),
    }
    if all(value == getattr(record.spec, name) for name, value in changes.items()):
        return stored
    spec = record.spec.model_copy(update=changes)
    return replace(stored, record=record.model_copy(update={"spec": spec}))


def bounded_name(name: str) -> str:
    """The name, or its beginning with a hash of the whole."""
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}… ({hash_json(name)[:8]})"


def bounded_text(text: str) -> str:
    """The text, or its beginning with what is left out told."""
    rest = len(text) - LONGEST_TEXT
    return text if rest <= 0 else f"{text[:LONGEST_TEXT]}… ({rest:,} more characters)"


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return bounded_name(value)
    if isinstance(value, dict):
        return {bounded_name(str(key)): _bounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_bounded(item) for item in value)
    return value
