"""From a judge's raw reply to a verdict; only what the judge itself wrote is read."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from rpo_bench.judge.protocol import Attempt, Mode

Answer = Literal["A", "B", "tie"]

_KEY = '"verdict"'
_OBJECT = re.compile(r"\{[^{}]*\}")
_ANSWERS: dict[str, Answer] = {"a": "A", "b": "B", "tie": "tie"}


@dataclass(frozen=True)
class Reading:
    """What a reply says.

    Attributes:
        answer: Which response is better; None where the reply doesn't say.
        probability: P(A is better), of the label log-probabilities.
        reason: Why there is no answer.
    """

    answer: Answer | None = None
    probability: float | None = None
    reason: str | None = None


def read_attempt(attempt: Attempt, mode: Mode) -> Reading:
    """What an attempt says, in either mode."""
    if attempt.error is not None:
        return Reading(reason=attempt.error)
    if attempt.finish == "malformed":
        return Reading(reason="the server's answer is malformed")
    labels = mode == "logprobs" or attempt.label_logps is not None
    return _read_labels(attempt) if labels else _read_text(attempt)


def _read_labels(attempt: Attempt) -> Reading:
    """The label with more probability; one that isn't listed has none beside one that is."""
    if attempt.label_logps is None:
        return Reading(reason="the server gives no log-probabilities")
    first, second = (-math.inf if logp is None else logp for logp in attempt.label_logps)
    if max(first, second) == -math.inf:
        return Reading(reason="neither label is among the likely tokens")
    p = 0.0 if second - first > 700 else 1 / (1 + math.exp(second - first))  # exp overflows at 710
    return Reading("tie" if p == 0.5 else "A" if p > 0.5 else "B", p)


def _read_text(attempt: Attempt) -> Reading:
    text = (attempt.text or "").strip()
    if not text:
        return Reading(reason="the reply is empty")
    whole = _verdict(text)
    if whole is not None:
        return Reading(whole)
    if attempt.finish == "length":  # what it had said so far may not be what it would have ended on
        return Reading(reason="the reply is cut off")
    if attempt.finish == "content_filter":
        return Reading(reason="the server's content filter withheld the reply")
    found = [match for match in map(_verdict, _OBJECT.findall(text)) if match is not None]
    return Reading(found[-1]) if found else Reading(reason="the reply has no verdict")


def _verdict(text: str) -> Answer | None:
    r"""The verdict of a JSON object, or None when it isn't one that has a valid verdict.

    Its key has to be written out: that word is defused in what a judge is shown, where an escaped form of it
    ("\u0076erdict") would go unseen, and come back from a judge that quotes.
    """
    if _KEY not in text:
        return None
    try:
        value: Any = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    verdict = value.get("verdict") if isinstance(value, dict) else None
    return _ANSWERS.get(verdict.strip().lower()) if isinstance(verdict, str) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; ValueError when a key comes twice, for then it says two things."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key comes twice")
    return dict(pairs)
