"""The texts of prompts, from stored samples."""

from collections.abc import Collection, Sequence

from rpo_bench.errors import UserError
from rpo_bench.results.store import StoredRecord, read_samples


def prompt_texts(records: Sequence[StoredRecord], wanted: Collection[str]) -> dict[str, str]:
    """The text of each wanted prompt, as far as any checkpoint's samples are stored."""
    found: dict[str, str] = {}
    for stored in records:
        if set(wanted) <= set(found):
            break
        try:
            samples = read_samples(stored.folder)
        except UserError:  # results without samples are whole in all else
            continue
        found |= {sample.prompt_id: sample.prompt for sample in samples if sample.prompt_id in wanted}
    return found
