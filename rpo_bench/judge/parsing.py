"""From a judge's raw reply to a verdict; only what the judge itself wrote is read."""

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from rpo_bench.judge.protocol import REFUSED, Attempt, Mode
from rpo_bench.judge.thinking import conclusion

Answer = Literal["A", "B", "tie"]

#: P(A) + P(B) below which a judge's labels tell nothing: it would mostly say something else.
LEAST_MASS = 0.1

_NAME = "verdict"
_KEY = f'"{_NAME}"'
_TAIL = 20_000  # characters from a reply's end that are searched for verdicts: hostile nesting takes long
_ANSWERS: dict[str, Answer] = {"a": "A", "b": "B", "tie": "tie"}
_CUT_OFF = "the reply is cut off: raise --judge-max-tokens"
_WITHHELD = {
    "malformed": "the server's answer is malformed",
    "content_filter": "the server's content filter withheld the reply",
    REFUSED: "the judge refused",
}


@dataclass(frozen=True)
class Reading:
    """What a reply says.

    Attributes:
        answer: Which response is better; None where the reply doesn't say.
        probability: P(A is better), of the label log-probabilities, given that it is A or B.
        reason: Why there is no answer.
    """

    answer: Answer | None = None
    probability: float | None = None
    reason: str | None = None


def read_attempt(attempt: Attempt, mode: Mode) -> Reading:
    """What an attempt says, in either mode, whatever judge made it."""
    if attempt.error is not None:
        return Reading(reason=attempt.error)
    if attempt.finish in _WITHHELD:
        return Reading(reason=_WITHHELD[attempt.finish])
    labels = mode == "logprobs" or attempt.label_logps is not None
    return _read_labels(attempt) if labels else _read_text(attempt)


def _read_labels(attempt: Attempt) -> Reading:
    """The label with more probability; one that isn't listed has none beside one that is."""
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
    """The last verdict of what the judge concluded; of a reply that was cut off, only a whole one."""
    text = (attempt.text or "").strip()
    if not text:
        return Reading(reason=_CUT_OFF if attempt.finish == "length" else "the reply is empty")
    objects = _Objects()
    concluded = text if objects.whole(text) is not None else conclusion(text)
    if concluded is not None and (whole := objects.whole(concluded.strip())) is not None:
        return Reading(whole)
    if attempt.finish == "length":  # what it had said so far may not be what it would have ended on
        return Reading(reason=_CUT_OFF)
    if concluded is None:
        return Reading(reason="the reply never ends its thoughts")
    last = objects.last(concluded[-_TAIL:])
    return Reading(last) if last is not None else Reading(reason="the reply has no verdict")


class _Objects:
    """The verdicts of JSON objects in a text; those within an object count unless it has one of its own."""

    def __init__(self) -> None:
        self._said: list[Any] = []
        self._has_own = False
        self._decoder = json.JSONDecoder(object_pairs_hook=self._note)

    def whole(self, text: str) -> Answer | None:
        """The verdict of a text that is one JSON object and nothing else."""
        end, answer = self._at(text, 0) if text.startswith("{") else (0, None)
        return answer if end == len(text) else None

    def last(self, text: str) -> Answer | None:
        """The verdict of the last object that has one, decoding from each brace."""
        answer, at = None, text.find("{")
        until = text.lower().rfind(_KEY)  # braces behind the last key can't begin a verdict
        while 0 <= at < until:
            end, found = self._at(text, at)
            answer = found or answer
            at = text.find("{", max(end, at + 1))
        return answer

    def _at(self, text: str, at: int) -> tuple[int, Answer | None]:
        r"""Where the object that begins at a brace ends, and its verdict; the brace itself where none does.

        Its key has to be written out: that word is defused in what a judge is shown, where an escaped form of
        it ("\u0076erdict") would go unseen, and come back from a judge that quotes.
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
        """Notes what an object's verdict says; ValueError when a key comes twice: it then says two things."""
        keys = [key.lower() if key.lower() == _NAME else key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            raise ValueError("a key comes twice")
        said = [value for key, value in pairs if key.lower() == _NAME]
        self._said += said
        self._has_own = bool(said)  # of the outermost object in the end: it is noted last
