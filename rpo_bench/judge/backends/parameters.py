"""Request parameters for chat servers: the desired ones, and those that the server accepts."""

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

_REFUSALS = (400, 422)  # HTTP statuses for refused parameters
_LONGEST = 400  # characters quoted from a server's message


@dataclass(frozen=True)
class Wanted:
    """The desired parameters.

    Attributes:
        mode: In ``logprobs``, a single token with the top log-probabilities is requested.
        max_tokens: Limit on tokens of a reply.
        limit: Name of the parameter for that limit; ``auto``: the one that the server accepts.
        temperature: ``auto``: 0, or the server's default if it refuses; ``none``: the server's default.
    """

    mode: Mode = "verdict"
    max_tokens: int = 256
    limit: Limit = "auto"
    temperature: Temperature = "auto"

    @property
    def tokens(self) -> int:
        """The limit on tokens of a reply."""
        return self.max_tokens if self.mode == "verdict" else 1

    @property
    def identity(self) -> dict[str, Any]:
        """The parameters as part of a judge's identity."""
        temperature = {AUTO: 0, NONE: None}.get(str(self.temperature), self.temperature)
        named = {} if self.limit == AUTO else {"limit_parameter": self.limit}
        return {"temperature": temperature, "max_tokens": self.tokens, **named}


@dataclass
class Accepted:
    """The desired parameters without those the server refused; shared by all threads.

    Newer hosted models take ``max_completion_tokens`` instead of ``max_tokens``, and no temperature. The old
    form is sent until it is refused, as older and most open servers only support that.
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
        """Whether to repeat a refused request with parameters that the server accepts.

        Args:
            sent: The parameters of the request.
            status: The HTTP status.
            said: The server's message.
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
    """Whether a server refused to give log-probabilities."""
    return (
        status in _REFUSALS
        and "logprobs" in sent
        and re.search(r"log_?prob", said, re.IGNORECASE) is not None
    )


def sentence(body: str) -> str:
    """A server's error message from its JSON, with the parameter if given; else ""."""
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
    """Whether a refusal is about a parameter, rather than its value for this prompt's length."""
    if re.search(r"too (large|long|many)|context|exceed", said, re.IGNORECASE):
        return False
    return re.search(rf"(?<![\w.]){parameter}(?!\w)", said) is not None


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[:_LONGEST] + " …"
