"""Which results are comparable, and the reason if they aren't."""

from collections.abc import Sequence

from rpo_bench.analysis.panels import evaluation_key
from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_json
from rpo_bench.results.schema import Record
from rpo_bench.results.store import StoredRecord
from rpo_bench.spec.flags import called_in_sentences


def difference(first: Record, second: Record) -> str | None:
    """Why two checkpoints can't be compared: other task, prompts, reference or decoding; None if they can.

    The training may differ in anything: that is what is compared.
    """
    a, b = first.spec, second.spec
    if a.task != b.task:
        return f"they are of different tasks ('{a.task}' and '{b.task}')"
    mine, theirs = (record.hashes.get("prompts") for record in (first, second))
    if a.evaluation.limit == b.evaluation.limit and mine and theirs and mine != theirs:
        return f"they were measured on other prompts (hashes {mine[:8]} and {theirs[:8]})"
    if a.task_hash != b.task_hash:
        return (
            f"they are of different versions of the task '{a.task}' ({a.task_hash[:8]} and {b.task_hash[:8]})"
        )
    if a.model_hash != b.model_hash:
        named = f"'{a.model}' and '{b.model}'" if a.model != b.model else f"two models called '{a.model}'"
        return f"they have different reference policies ({named}), against which KL is measured"
    if a.model != b.model:
        return f"their reference policy goes by two names ('{a.model}' and '{b.model}')"
    if a.prompt_format != b.prompt_format:
        return "their prompt format differs (--prompt-format, --system-prompt)"
    if a.loading.numbers != b.loading.numbers:
        return f"the number format or attention of their weights differs ({a.loading} and {b.loading})"
    return _settings(first, second)


def _settings(first: Record, second: Record) -> str | None:
    a, b = (record.spec.evaluation.model_dump(mode="json") for record in (first, second))
    for evaluation in (a, b):
        decoding = evaluation.pop("decoding")
        evaluation |= {f"decoding.{name}": value for name, value in decoding.items()}
    for name in a:
        if a[name] != b[name]:
            called = called_in_sentences(f"evaluation.{name}")
            return f"their {called} differs ({_said(a[name])} and {_said(b[name])})"
    return None


def _said(value: object) -> str:
    return "the default" if value is None else str(value)


def refuse(first: str, one: Sequence[StoredRecord], second: str, other: Sequence[StoredRecord]) -> UserError:
    """The sentence for two sets of results of which no two checkpoints can be compared."""
    reasons = [reason for a in one for b in other if (reason := difference(a.record, b.record)) is not None]
    # The nearest pair is the most informative: report different decoding rather than a different task.
    order = ["different tasks", "versions", "prompts", "reference", "differs"]
    ranked = sorted(reasons, key=lambda text: -next((i for i, key in enumerate(order) if key in text), 0))
    why = ranked[0] if ranked else "they have nothing in common"
    return UserError(f"{first} and {second} can't be compared: {why}.")


def panel_key(record: Record) -> str:
    """Equal for what may be compared."""
    return hash_json([*evaluation_key(record.spec), record.hashes.get("prompts")])
