"""Checks that a contribution's files are complete and its metrics follow from them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_file
from rpo_bench.judge.scores import of_questions
from rpo_bench.results.samples import ScoreLine, StoredSample, prompt_means
from rpo_bench.results.store import (
    SAMPLES_FILE,
    SCORES_FILE,
    TRAIN_LOG_FILE,
    StoredRecord,
    read_samples,
    read_scores,
)
from rpo_bench.submit.report import Check, ruled

_FILES = {"samples": SAMPLES_FILE, "scores": SCORES_FILE, "train_log": TRAIN_LOG_FILE}

#: Tolerance between a mean and its scores, which are published with four decimals.
TOLERANCE = 5e-5 + 1e-9
#: Tolerance between the KL of a sample and the sum of its tokens' log-ratios.
KL_TOLERANCE = 1e-3


def contents(records: Sequence[StoredRecord], root: Path) -> list[Check]:
    """Checks the files of every record against its hashes, each other, and its metrics.

    Args:
        records: The contributed records.
        root: Findings name paths relative to it.
    """
    files, counts, means = [], [], []
    for stored in records:
        name = stored.folder.relative_to(root).as_posix()
        files += [f"{name}: {reason}" for reason in _files(stored)]
        if not stored.record.metrics:
            continue
        try:
            samples, scores = read_samples(stored.folder), read_scores(stored.folder)
        except UserError as error:
            counts.append(f"{name}: {str(error).replace(f'{stored.folder}/', '').rstrip('.')}")
            continue
        counts += [f"{name}: {reason}" for reason in _counts(stored, samples, scores)]
        means += [f"{name}: {reason}" for reason in _means(stored, samples, scores)]
    return [
        ruled(
            "files",
            "samples, scores and training logs are there and match the hashes in their records",
            "files that are missing or don't match their records: {n}",
            files,
            "copy complete result folders with `rpo-bench publish RUN --output-path FOLDER`, and edit "
            "nothing",
        ),
        ruled(
            "samples",
            "every prompt has its samples, and every sample its scores",
            "results whose samples or scores don't match their record: {n}",
            counts,
            "run `rpo-bench eval` or `rpo-bench score` again, then publish",
        ),
        ruled(
            "metrics",
            "the metrics are the means of the stored scores",
            "metrics that aren't the means of the stored scores: {n}",
            means,
            "don't edit metrics: run `rpo-bench score` again, then publish",
        ),
    ]


def _files(stored: StoredRecord) -> Iterator[str]:
    """Files that are missing or have a different hash."""
    hashes = stored.record.hashes
    needed = ["samples", "scores"] if stored.record.metrics else []
    if stored.record.spec.strength is not None and not _only_measured(stored):
        needed.append("train_log")
    for name in dict.fromkeys([*needed, *(name for name in _FILES if name in hashes)]):
        file = stored.folder / _FILES[name]
        if not file.is_file():
            yield f"{file.name} is missing"
        elif name not in hashes:
            yield f"the record has no hash of {file.name}"
        elif hash_file(file) != hashes[name]:
            yield f"{file.name} isn't the file that the record describes"


def _only_measured(stored: StoredRecord) -> bool:
    """Whether ``rpo-bench eval`` measured a finished checkpoint, which has no training log."""
    return stored.record.command.startswith("rpo-bench eval ")


def _counts(
    stored: StoredRecord, samples: Sequence[StoredSample], scores: Sequence[ScoreLine]
) -> Iterator[str]:
    """Checks the number of samples, and the scores against the samples."""
    wanted = stored.record.spec.evaluation.n_samples
    places = [(one.prompt_id, one.sample) for one in samples]
    if len(set(places)) < len(places):
        yield f"{SAMPLES_FILE} has a sample twice"
    prompts = {prompt for prompt, _ in places}
    if len(set(places)) != wanted * len(prompts):
        yield f"{len(set(places))} samples of {len(prompts)} prompts, expected {wanted} of each"
    scored = {(one.prompt_id, one.sample) for one in scores}
    if missing := set(places) - scored:
        yield f"{len(missing)} samples have no scores"
    if extra := scored - set(places):
        yield f"{len(extra)} scores have no sample"
    for name, metric in stored.record.metrics.items():
        total = metric.scored + sum(metric.unscored.values())
        if of_questions(name, metric):
            if total > len(prompts):
                yield f"{name} counts {total} questions, but there are {len(prompts)} prompts"
                break
        elif total != len(places):
            yield f"{name} counts {total} samples, but {len(places)} are stored"
            break


def _means(
    stored: StoredRecord, samples: Sequence[StoredSample], scores: Sequence[ScoreLine]
) -> Iterator[str]:
    """Recomputes every metric that is a mean over prompts, and KL from the tokens where available."""
    for name, by_prompt in prompt_means(list(scores)).items():
        metric = stored.record.metrics.get(name)
        if metric is None or metric.interval.point is None or not by_prompt:
            continue
        mean = sum(by_prompt.values()) / len(by_prompt)
        if abs(mean - metric.interval.point) > TOLERANCE:
            yield f"{name} is {mean:.6g} by its scores, and {metric.interval.point:.6g} in the record"
    for name in ("reward", "kl"):
        if name in stored.record.metrics and not any(name in line.scores for line in scores):
            yield f"{name} has no stored scores"
    yield from _token_kl(samples, scores)


def _token_kl(samples: Sequence[StoredSample], scores: Sequence[ScoreLine]) -> Iterator[str]:
    stored = {(line.prompt_id, line.sample): line.scores.get("kl") for line in scores}
    off = 0
    for sample in samples:
        known = stored.get((sample.prompt_id, sample.sample))
        if known is None or sample.policy_logps is None or sample.reference_logps is None:
            continue
        off += abs(sum(sample.policy_logps) - sum(sample.reference_logps) - known) > KL_TOLERANCE
    if off:
        yield f"kl of {off} samples isn't the log-ratio of their tokens"
