"""The parameters of a request to a chat server: what is wanted, and what the server turns out to accept."""

import json
import re
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, Literal

from rpo_bench.judge.protocol import Mode

Limit = Literal["auto", "max_tokens", "max_completion_tokens", "none"]
Temperature = float | Literal["auto", "none"]

AUTO: Final = "auto"
NONE: Final = "none"

_REFUSALS = (400, 422)  # statuses by which servers refuse a parameter
_LONGEST = 400  # characters of a server's sentence


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        mode: In ``logprobs`` a single token is asked for, with the likeliest first ones.
        max_tokens: Of a reply.
        limit: Under which name that is sent; ``auto``: under the one that the server takes.
        temperature: ``auto``: 0, or the server's own where it refuses it; ``none``: the server's own.
    """

    mode: Mode = "verdict"
    max_tokens: int = 256
    limit: Limit = "auto"
    temperature: Temperature = "auto"

    @property
    def tokens(self) -> int:
        """Of a reply, at most."""
        return self.max_tokens if self.mode == "verdict" else 1

    @property
    def identity(self) -> dict[str, Any]:
        """What a judge's identity says of them."""
        temperature = {AUTO: 0, NONE: None}.get(str(self.temperature), self.temperature)
        named = {} if self.limit == AUTO else {"limit_parameter": self.limit}
        return {"temperature": temperature, "max_tokens": self.tokens, **named}


@dataclass
class Accepted:
    """What is sent: as wanted, less what the server has refused; shared by all threads that ask.

    Newer hosted models take ``max_completion_tokens`` for ``max_tokens`` and no temperature. The old form is
    sent until it is refused, for older servers and most open ones know nothing else.
    """

    wanted: Wanted
    _limit: str | None = field(init=False)
    _temperature: float | None = field(init=False)
    _changing: Lock = field(default_factory=Lock, init=False)

    def __post_init__(self) -> None:
        limit, temperature = self.wanted.limit, self.wanted.temperature
        self._limit = None if limit == NONE else "max_tokens" if limit == AUTO else limit
        self._temperature = None if temperature == NONE else 0 if temperature == AUTO else float(temperature)

    @property
    def sent(self) -> dict[str, Any]:
        """The parameters of the next request."""
        with self._changing:
            sent: dict[str, Any] = {}
            if self._temperature is not None:
                sent["temperature"] = self._temperature
            if self._limit is not None:
                sent[self._limit] = self.wanted.tokens
        return sent | ({"logprobs": True, "top_logprobs": 20} if self.wanted.mode == "logprobs" else {})

    def adapts(self, sent: dict[str, Any], status: int, said: str) -> bool:
        """Whether a refused request is worth sending again, in the form that the server accepts.

        Args:
            sent: The parameters of the request.
            status: HTTP.
            said: What the server said of it.
        """
        if status not in _REFUSALS:
            return False
        with self._changing:
            if self.wanted.temperature == AUTO and "temperature" in sent and _names(said, "temperature"):
                self._temperature = None
            if self.wanted.limit == AUTO and "max_tokens" in sent and _names(said, "max_tokens"):
                self._limit = "max_completion_tokens"
        return self.sent != sent


def refuses_logprobs(sent: dict[str, Any], status: int, said: str) -> bool:
    """Whether a server said that it gives no log-probabilities."""
    return (
        status in _REFUSALS
        and "logprobs" in sent
        and re.search(r"log_?prob", said, re.IGNORECASE) is not None
    )


def sentence(body: str) -> str:
    """What a server says of an error: its JSON's message, with the parameter where it names one; else ""."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = value.get("error", value) if isinstance(value, dict) else {}
    if isinstance(error, str):
        return _line(error)
    if not isinstance(error, dict):
        return ""
    text = next((error[k] for k in ("message", "detail", "error") if error.get(k)), "")
    said = _line(text if isinstance(text, str) else json.dumps(text))
    parameter = error.get("param")
    return f"{said} ({parameter})" if isinstance(parameter, str) and parameter not in said else said


def _names(said: str, parameter: str) -> bool:
    """Whether a refusal is of a parameter, and not of its value beside this prompt's length."""
    if re.search(r"too (large|long|many)|context|exceed", said, re.IGNORECASE):
        return False
    return re.search(rf"(?<![\w.]){parameter}(?!\w)", said) is not None


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[:_LONGEST] + " …"
