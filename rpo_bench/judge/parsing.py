"""Parses a judge's raw reply to a verdict, reading only text that the judge wrote itself."""

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from rpo_bench.judge.protocol import REFUSED, Attempt, Mode
from rpo_bench.judge.thinking import conclusion

Answer = Literal["A", "B", "tie"]

#: Minimum P(A) + P(B): below it, the judge would mostly answer something else.
LEAST_MASS = 0.1

_NAME = "verdict"
_KEY = f'"{_NAME}"'
_TAIL = 20_000  # characters at a reply's end that are searched, as hostile nesting is slow to parse
_ANSWERS: dict[str, Answer] = {"a": "A", "b": "B", "tie": "tie"}
_CUT_OFF = "the reply is cut off: raise --judge-max-tokens"
_WITHHELD = {
    "malformed": "the server's answer is malformed",
    "content_filter": "the server's content filter withheld the reply",
    REFUSED: "the judge refused",
}


@dataclass(frozen=True)
class Reading:
    """A parsed reply.

    Attributes:
        answer: The better response; None if the reply doesn't say.
        probability: P(A is better) from the label log-probabilities, given A or B.
        reason: Why there is no answer.
    """

    answer: Answer | None = None
    probability: float | None = None
    reason: str | None = None


def read_attempt(attempt: Attempt, mode: Mode) -> Reading:
    """Parses an attempt of any judge in either mode."""
    if attempt.error is not None:
        return Reading(reason=attempt.error)
    if attempt.finish in _WITHHELD:
        return Reading(reason=_WITHHELD[attempt.finish])
    labels = mode == "logprobs" or attempt.label_logps is not None
    return _read_labels(attempt) if labels else _read_text(attempt)


def _read_labels(attempt: Attempt) -> Reading:
    """The more probable label; an unlisted one counts as less probable than a listed one."""
    if attempt.label_logps is None:
        return Reading(reason="the server gives no log-probabilities")
    first, second = (-math.inf if logp is None else min(logp, 0.0) for logp in attempt.label_logps)
    if max(first, second) == -math.inf:
        return Reading(reason="neither label is among the likely tokens")
    p = 0.0 if second - first > 700 else 1 / (1 + math.exp(second - first))  # exp overflows at 710
    if math.exp(first) + math.exp(second) < LEAST_MASS:
        return Reading(None, p, f"A and B together have a probability below {LEAST_MASS:g}")
    return Reading("tie" if p == 0.5 else "A" if p > 0.5 else "B", p)


def _read_text(attempt: Attempt) -> Reading:
    """The last verdict in the conclusion; a truncated reply must be one complete verdict."""
    text = (attempt.text or "").strip()
    if not text:
        return Reading(reason=_CUT_OFF if attempt.finish == "length" else "the reply is empty")
    objects = _Objects()
    concluded = text if objects.whole(text) is not None else conclusion(text)
    if concluded is not None and (whole := objects.whole(concluded.strip())) is not None:
        return Reading(whole)
    if attempt.finish == "length":  # its conclusion may be missing
        return Reading(reason=_CUT_OFF)
    if concluded is None:
        return Reading(reason="the reply never ends its thoughts")
    last = objects.last(concluded[-_TAIL:])
    return Reading(last) if last is not None else Reading(reason="the reply has no verdict")


class _Objects:
    """The verdicts of JSON objects in a text; a nested verdict counts unless its object has its own."""

    def __init__(self) -> None:
        self._said: list[Any] = []
        self._has_own = False
        self._decoder = json.JSONDecoder(object_pairs_hook=self._note)

    def whole(self, text: str) -> Answer | None:
        """The verdict of a text that is a single JSON object."""
        end, answer = self._at(text, 0) if text.startswith("{") else (0, None)
        return answer if end == len(text) else None

    def last(self, text: str) -> Answer | None:
        """The verdict of the last object with one, decoding from each brace."""
        answer, at = None, text.find("{")
        until = text.lower().rfind(_KEY)  # braces after the last key can't begin a verdict
        while 0 <= at < until:
            end, found = self._at(text, at)
            answer = found or answer
            at = text.find("{", max(end, at + 1))
        return answer

    def _at(self, text: str, at: int) -> tuple[int, Answer | None]:
        r"""The end and verdict of the object that begins at a brace; the brace itself if none does.

        The key must be unescaped. That word is neutralised in prompts, but an escaped form ("\u0076erdict")
        would pass, and a judge that quotes it would repeat it.
        """
        self._said.clear()
        try:
            _, end = self._decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return at, None
        if len(self._said) > text[at:end].lower().count(_KEY):
            return end, None
        answers = [_ANSWERS.get(one.strip().lower()) if isinstance(one, str) else None for one in self._said]
        own = answers[-1:] if self._has_own else [one for one in answers if one is not None]
        return end, own[-1] if own else None

    def _note(self, pairs: list[tuple[str, Any]]) -> None:
        """Stores an object's verdict; raises ValueError for duplicate keys, which are ambiguous."""
        keys = [key.lower() if key.lower() == _NAME else key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            raise ValueError("a key comes twice")
        said = [value for key, value in pairs if key.lower() == _NAME]
        self._said += said
        self._has_own = bool(said)  # finally of the outermost object, which comes last
