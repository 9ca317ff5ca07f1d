"""Selects pairs to judge: stored responses of two checkpoints to the same prompts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.judge.protocol import Pair
from rpo_bench.results.samples import StoredSample
from rpo_bench.results.store import SAMPLES_FILE, StoredRecord, read_samples
from rpo_bench.tasks.stored_prompts import prompts_of

REFERENCE, ALL = "reference", "all"


@dataclass(frozen=True)
class Selection:
    """Selects which results are judged, and against what.

    Attributes:
        against: ``reference``, a method (``sft``, or ``sft@8`` at one of its strengths), or ``all`` for a
            round-robin.
        methods: Only these methods are judged; empty: all.
        samples: Samples per prompt.
        limit: Only this many first prompts.
        include_path: A folder of further tasks, for their prompts.
    """

    against: str = REFERENCE
    methods: tuple[str, ...] = ()
    samples: int = 1
    limit: int | None = None
    include_path: Path | None = None


def pairs_of(records: Sequence[StoredRecord], selection: Selection) -> list[Pair]:
    """Pairs every judged checkpoint's responses with its baseline's, prompt by prompt.

    Compared checkpoints have the same task, base model and decoding. A trained baseline has the same training
    seed.

    Raises:
        UserError: There is nothing to judge, or no such baseline; the message lists what exists.
    """
    sampled = [one for one in records if (one.folder / SAMPLES_FILE).is_file()]
    if not sampled:
        raise UserError("No result here has stored samples, which a judge needs.")
    matches = matches_of(sampled, selection)
    if not matches:
        raise UserError(
            f"--against {selection.against}: there is nothing to judge.{_known(sampled, selection)}"
        )
    shown = {
        one.record.cell: _responses(one, selection)
        for one in {id(one): one for match in matches for one in match}.values()
    }
    return [pair for model, baseline in matches for pair in _between(model, baseline, shown)]


def label_of(stored: StoredRecord) -> str:
    """A checkpoint's label in games: the name of its result folder."""
    return stored.record.spec.name


def matches_of(
    records: Sequence[StoredRecord], selection: Selection
) -> list[tuple[StoredRecord, StoredRecord]]:
    """(model, baseline) of all comparisons; raises UserError when a baseline is ambiguous."""
    return list(_matches(records, selection))


def _matches(
    records: Sequence[StoredRecord], selection: Selection
) -> Iterator[tuple[StoredRecord, StoredRecord]]:
    """(model, baseline) of all comparisons."""
    for group in measured_alike(records):
        judged = [one for one in group if not selection.methods or method_of(one) in selection.methods]
        if selection.against == ALL:
            yield from (
                (one, other)
                for i, one in enumerate(judged)
                for other in judged[:i]
                if one.record.spec.seed == other.record.spec.seed
                or REFERENCE in (method_of(one), method_of(other))
            )
            continue
        baselines = _baselines(group, selection.against)
        for one in judged:
            other = baselines.get(one.record.spec.seed, baselines.get(None))
            if other is not None and one.record.cell not in {b.record.cell for b in baselines.values()}:
                yield one, other


def _baselines(group: Sequence[StoredRecord], against: str) -> dict[int | None, StoredRecord]:
    """The baseline by training seed; under None if it has no seed.

    Raises:
        UserError: The method was trained at several strengths and none is given.
    """
    if against == REFERENCE:
        references = [one for one in group if method_of(one) == REFERENCE]
        return {None: references[0]} if references else {}
    method, _, strength = against.partition("@")
    found = [one for one in group if method_of(one) == method]
    known = sorted({f"{one.record.spec.strength:g}" for one in found if one.record.spec.strength is not None})
    if strength:
        found = [one for one in found if f"{one.record.spec.strength:g}" == strength]
    elif len(known) > 1:
        named = ", ".join(f"{method}@{value}" for value in known)
        raise UserError(f"--against {against}: it was trained at several strengths; give one: {named}.")
    return {one.record.spec.seed: one for one in found}


def _known(records: Sequence[StoredRecord], selection: Selection) -> str:
    names = {method_of(one) for one in records} | {ALL}
    for name in (selection.against.partition("@")[0], *selection.methods):
        if name not in names:
            return did_you_mean(name, names)
    return ""


def method_of(stored: StoredRecord) -> str:
    """The method's label, or ``reference``."""
    spec = stored.record.spec
    return REFERENCE if spec.strength is None else spec.method.label


def measured_alike(records: Sequence[StoredRecord]) -> list[list[StoredRecord]]:
    """Groups results by task, base model and decoding, in order of first appearance."""
    groups: dict[str, list[StoredRecord]] = {}
    for one in records:
        groups.setdefault(evaluation_key(one), []).append(one)
    return list(groups.values())


def evaluation_key(stored: StoredRecord) -> str:
    """The key that comparable checkpoints share: task, base model and decoding."""
    spec = stored.record.spec
    return "\n".join((spec.task_hash, spec.model_hash, spec.evaluation.decoding.model_dump_json()))


def _responses(
    stored: StoredRecord, selection: Selection
) -> dict[tuple[str, int], tuple[Prompt, StoredSample]]:
    """The samples to judge, by prompt and number."""
    samples = [one for one in read_samples(stored.folder) if one.sample < selection.samples]
    kept = set(list(dict.fromkeys(one.prompt_id for one in samples))[: selection.limit])
    prompts = prompts_of(stored.record.spec, samples, selection.include_path)
    known = {prompt.prompt_id: prompt for prompt in prompts}
    return {(s.prompt_id, s.sample): (known[s.prompt_id], s) for s in samples if s.prompt_id in kept}


def _between(
    model: StoredRecord,
    baseline: StoredRecord,
    shown: dict[str, dict[tuple[str, int], tuple[Prompt, StoredSample]]],
) -> Iterator[Pair]:
    others = shown[baseline.record.cell]
    for key, (prompt, sample) in shown[model.record.cell].items():
        if key not in others or others[key][1].prompt != sample.prompt:
            continue
        yield Pair(
            question=f"{sample.prompt_id}/{sample.sample}",
            task=model.record.spec.task,
            prompt=prompt,
            model=label_of(model),
            baseline=label_of(baseline),
            model_response=sample.text,
            baseline_response=others[key][1].text,
        )
