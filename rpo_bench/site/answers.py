"""A row's stored samples with their scores, in the form of the sample browser."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rpo_bench.analysis.panels import Row
from rpo_bench.errors import UserError
from rpo_bench.files.json_lines import read_objects
from rpo_bench.results.publish import DERIVED
from rpo_bench.results.store import SAMPLES_FILE, SCORES_FILE

#: Scores that follow from the sample or from another score.
_LEFT_OUT = frozenset((*DERIVED, "finished_share", "kl_k3"))

_DECIMALS = 4  # as they are published


@dataclass(frozen=True)
class Checkpoint:
    """The samples of one training seed, by prompt and number; the lists run side by side.

    Attributes:
        prompts: Identities of the prompts, sorted.
        samples: How many samples each of them has.
        texts: Per sample, the index of its text in ``Answers.texts``.
        unfinished: Indices of samples that were cut off.
        scores: Metric → a number per sample, None for unscored.
    """

    seed: int
    prompts: list[str]
    samples: list[int]
    texts: list[int]
    unfinished: list[int]
    scores: dict[str, list[float | None]]


@dataclass(frozen=True)
class Answers:
    """The samples of a row.

    Attributes:
        prompts: Identity → text.
        texts: Every distinct response once.
        checkpoints: By training seed.
        missing: Reasons for samples that can't be shown.
    """

    prompts: dict[str, str]
    texts: list[str]
    checkpoints: list[Checkpoint]
    missing: list[str]


def read_answers(row: Row) -> Answers:
    """Reads the samples of all the row's checkpoints; unreadable ones are listed in ``missing``."""
    answers = Answers({}, [], [], [])
    known: dict[str, int] = {}
    for stored in row.stored:
        seed = stored.record.spec.seed
        try:
            answers.checkpoints.append(_checkpoint(seed, stored.folder, answers, known))
        except UserError as error:
            reason = str(error).replace(f"{stored.folder}/", "")
            diverged = stored.record.status == "diverged" and not (stored.folder / SAMPLES_FILE).exists()
            text = "it diverged and has no samples." if diverged else reason
            answers.missing.append(f"Seed {seed}: {text}")
    return answers


def _checkpoint(seed: int, folder: Path, answers: Answers, known: dict[str, int]) -> Checkpoint:
    file = folder / SAMPLES_FILE
    found = sorted((_sample(line, number, file) for number, line in enumerate(read_objects(file), start=1)))
    scores = _scores(folder)
    keys = [(prompt, sample) for prompt, sample, *_ in found]
    counts: dict[str, int] = {}
    places: list[int] = []
    for prompt, _, text, _, prompt_text in found:
        counts[prompt] = counts.get(prompt, 0) + 1
        answers.prompts.setdefault(prompt, prompt_text)
        if text not in known:
            known[text] = len(answers.texts)
            answers.texts.append(text)
        places.append(known[text])
    nothing: dict[str, Any] = {}
    lines = [scores.get(key, nothing) for key in keys]
    metrics = sorted({name for of in scores.values() for name in of} - _LEFT_OUT)
    return Checkpoint(
        seed=seed,
        prompts=list(counts),
        samples=list(counts.values()),
        texts=places,
        unfinished=[place for place, sample in enumerate(found) if not sample[3]],
        scores={name: _rounded([line.get(name) for line in lines]) for name in metrics},
    )


def _sample(line: Mapping[str, Any], number: int, file: Path) -> tuple[str, int, str, bool, str]:
    """Prompt id, sample number, text, whether it finished, and the prompt's text."""
    prompt, sample, text = line.get("prompt_id"), line.get("sample"), line.get("text")
    finished, prompt_text = line.get("finished"), line.get("prompt")
    if not (isinstance(prompt, str) and isinstance(text, str) and isinstance(prompt_text, str)):
        raise UserError(f"{file}, line {number} is not a sample: the prompt or the text is missing.")
    if not (isinstance(sample, int) and isinstance(finished, bool)):
        raise UserError(f"{file}, line {number} is not a sample: 'sample' or 'finished' is missing.")
    return prompt, sample, text, finished, prompt_text


def _scores(folder: Path) -> dict[tuple[str, int], Mapping[str, Any]]:
    """(prompt, sample) → its scores; empty where they can't be read, which the footer reports."""
    try:
        lines = read_objects(folder / SCORES_FILE)
    except UserError:
        return {}
    return {
        (prompt, sample): scores
        for line in lines
        if isinstance(prompt := line.get("prompt_id"), str)
        and isinstance(sample := line.get("sample"), int)
        and isinstance(scores := line.get("scores"), dict)
    }


def _rounded(values: list[Any]) -> list[float | None]:
    """Numbers to few decimals, whole numbers without any; None for anything that isn't finite."""
    known = [value if type(value) in (int, float) else math.nan for value in values]
    short = np.round(np.array(known, dtype=np.float64), _DECIMALS) + 0.0  # + 0.0: no minus zero
    found: list[float | None] = short.tolist()
    whole = np.equal(short, np.trunc(short))
    for place in np.flatnonzero(whole):
        found[place] = int(short[place])
    for place in np.flatnonzero(~np.isfinite(short)):
        found[place] = None
    return found
