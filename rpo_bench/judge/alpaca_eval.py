"""Reads judgements in AlpacaEval's format: ``annotations.json``, plain or gzipped."""

import json
import math
from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.files.reading import LARGE, read_bytes, unpacked
from rpo_bench.judge.win_rates import Judgement, Judgements

_FIELDS = ("instruction", "output_1", "output_2", "generator_1", "generator_2", "preference")


def read_alpaca_eval(file: Path) -> Judgements:
    """Reads AlpacaEval's pairwise annotations: ``output_1`` is the baseline's, ``output_2`` the model's.

    ``preference`` runs from 1 (the baseline wins) to 2 (the model wins); 1.5, and 0 in older files, is a
    draw; null is unscored.

    Raises:
        UserError: The file or a record is invalid; the message gives the record's number.
    """
    records = _records(file)
    pairs = {(str(one.get("generator_1")), str(one.get("generator_2"))) for one in records}
    found = tuple(_judgement(file, number, one) for number, one in enumerate(records, start=1))
    if len(pairs) > 1:
        names = "; ".join(f"{second} against {first}" for first, second in sorted(pairs)[:4])
        raise UserError(f"{file} compares more than one pair of models ({names}): split it by pair.")
    ((baseline, model),) = pairs
    return Judgements(baseline=baseline, model=model, judgements=found)


def _records(file: Path) -> list[dict[str, Any]]:
    raw = read_bytes(file, LARGE)
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = unpacked(raw)
        except ValueError as error:
            raise UserError(f"{file} {error}.") from error
    try:
        value = json.loads(raw)  # may contain NaN
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not JSON: {error}.") from error
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        raise UserError(f"{file} is not AlpacaEval's annotations.json: it must be a list of annotations.")
    return value


def _judgement(file: Path, number: int, record: dict[str, Any]) -> Judgement:
    missing = [name for name in _FIELDS if name not in record]
    if missing:
        raise UserError(f"{file}, annotation {number}: it has no '{missing[0]}'.")
    texts = [record[name] for name in _FIELDS[:3]]
    if not all(isinstance(text, str) for text in texts):
        raise UserError(f"{file}, annotation {number}: instruction and outputs must be text.")
    return Judgement(
        question=texts[0],
        score=_score(file, number, record["preference"]),
        baseline_length=len(texts[1]),
        model_length=len(texts[2]),
    )


def _score(file: Path, number: int, preference: Any) -> float | None:
    if preference is None or (isinstance(preference, float) and math.isnan(preference)):
        return None
    if isinstance(preference, bool) or not isinstance(preference, int | float):
        raise UserError(f"{file}, annotation {number}: preference is {preference!r}, not a number.")
    if preference == 0:
        return 0.5
    # Weighted preferences are sums of rounded probabilities and may exceed the range by about 1e-7.
    if not 1 - 1e-4 <= preference <= 2 + 1e-4:
        raise UserError(f"{file}, annotation {number}: preference {preference:g} is outside 1 to 2.")
    return float(preference) - 1
