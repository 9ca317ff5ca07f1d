"""OpenAI-compatible servers as judges, through the openai package."""

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.judge.backends.parameters import (
    AUTO,
    Accepted,
    Limit,
    Temperature,
    Wanted,
    refuses_logprobs,
    sentence,
)
from rpo_bench.judge.prompts import Template
from rpo_bench.judge.protocol import REFUSED, Attempt, Call, Mode
from rpo_bench.remote.scrubbing import well_formed
from rpo_bench.remote.urls import Address, api_key

MALFORMED = "malformed"  # ``finish`` of a response that isn't a chat completion

_LABELS = ("A", "B")
_FLAG = "--judge-base-url"
_OPENAI = "https://api.openai.com/v1"
_AGAIN = "\n\nReply with the JSON object alone."
_MOST_TOKENS = 10**9
_CHARS_PER_TOKEN = 3  # low, so that token counts of English are overestimated
_TOKENS_PER_TURN = 16
_FATAL = {
    401: "it refuses the key: check {key}",
    403: "it forbids the request: check {key} and the model's name",
    404: "it doesn't know the model or the path: check the model's name and --judge-base-url",
}


@dataclass(frozen=True)
class OpenAIJudge:
    """A chat model, at temperature 0 if allowed; implements ``Judge``.

    Attributes:
        model: The model's name on the server.
        template: The prompt template.
        mode: ``verdict`` parses its text; ``logprobs`` compares log-probabilities of A and B as first token.
        base_url: The server; None: OPENAI_BASE_URL or the package's default.
        key_env: Name of the environment variable with the key; the key itself is never stored.
        concurrency: Concurrent calls.
        timeout: Seconds for one HTTP request, up to the end of the response.
        max_retries: Retries after connection errors, time-outs, 408, 409, 429 and 5xx, with back-off or
            after Retry-After.
        max_tokens: Limit on tokens of a reply.
        limit: Name of the parameter for that limit; see ``Wanted``.
        temperature: See ``Wanted``.
        reply_bytes: Maximum size of an HTTP response.
    """

    model: str
    template: Template
    mode: Mode = "verdict"
    base_url: str | None = None
    key_env: str = "OPENAI_API_KEY"
    concurrency: int = 8
    timeout: float = 60.0
    max_retries: int = 5
    max_tokens: int = 256
    limit: Limit = AUTO
    temperature: Temperature = AUTO
    reply_bytes: int = 2**20

    batch_size: int = 1
    asks_again: bool = True

    def __post_init__(self) -> None:
        if self.base_url is not None:  # hides its secrets
            object.__setattr__(self, "base_url", Address(self.base_url))

    @property
    def identity(self) -> dict[str, Any]:
        """Model, server, sampling and template, without the key."""
        return {
            "backend": "openai",
            "model": self.model,
            "base_url": self._url,
            "mode": self.mode,
            **self._accepted.wanted.identity,
            "template": self.template.name,
            "template_hash": self.template.hash,
            "max_chars": self.template.max_chars,
        }

    @property
    def max_chars(self) -> int:
        """The template's limit on characters of each text."""
        return self.template.max_chars

    @cached_property
    def _accepted(self) -> Accepted:
        return Accepted(Wanted(self.mode, self.max_tokens, self.limit, self.temperature))

    @cached_property
    def _address(self) -> Address:
        if self._given == _OPENAI and api_key(self.key_env) is None:
            raise UserError(
                f"The judge needs a key: set {self.key_env}, name another variable by --judge-api-key-env, "
                f"or give a server that needs none with {_FLAG}."
            )
        return self._given.checked(_FLAG)

    @property
    def _given(self) -> Address:
        own = self.base_url
        return Address(os.environ.get("OPENAI_BASE_URL") or _OPENAI if own is None else own)

    @cached_property
    def _client(self) -> Any:
        from rpo_bench.remote.servers import connect

        return connect(
            self._address,
            api_key(self.key_env),
            timeout=self.timeout,
            retries=self.max_retries,
            size=self.reply_bytes,
        )

    @property
    def _url(self) -> str:
        return str(self._client.base_url).rstrip("/")

    def check(self) -> None:
        """Raises UserError for an invalid address, or a key that can't be sent in a header."""
        api_key(self.key_env)
        self._given.checked(_FLAG)

    def ask(self, calls: Sequence[Call], again: bool = False) -> list[Attempt]:
        """One attempt per call; raises UserError for errors that would affect every call."""
        return [self._ask(call, again) for call in calls]

    def estimated_tokens(self, call: Call) -> tuple[int, int]:
        """Estimates tokens from the prompt's characters and the longest reply.

        A non-ASCII character may take as many tokens as bytes.
        """
        shown = self.template.question(call)
        plain = sum(letter.isascii() for letter in shown)
        others = len(shown.encode("utf-8", "surrogatepass")) - plain
        return math.ceil(plain / _CHARS_PER_TOKEN) + others + _TOKENS_PER_TURN, self._accepted.wanted.tokens

    def _ask(self, call: Call, again: bool) -> Attempt:
        started_at = time.perf_counter()
        while True:
            sent = self._accepted.sent
            attempt = self._request(call, again, sent, started_at)
            if attempt is not None:
                return attempt

    def _request(self, call: Call, again: bool, sent: dict[str, Any], started_at: float) -> Attempt | None:
        """The result of a request; None if the server refused a parameter that can be left out."""
        import openai

        from rpo_bench.remote.servers import requests_before

        shown = self.template.question(call) + (_AGAIN if again and self.mode == "verdict" else "")
        arguments = {
            "model": self.model,
            **sent,
            "messages": [{"role": "user", "content": well_formed(shown)}],
        }
        try:
            raw = self._client.chat.completions.with_raw_response.create(**arguments)
            found, retries = self._read(raw.http_response.text), raw.retries_taken
        except openai.APIStatusError as problem:
            status, said = problem.status_code, sentence(problem.response.text)
            if self._accepted.adapts(sent, status, said):
                return None
            self._check_fatal(sent, problem, said)
            found = Attempt(error=f"HTTP {status}" + (f": {said}" if said else ""))
            retries = requests_before(problem)
        except openai.OpenAIError as problem:
            found, retries = Attempt(error=self._failure(problem)), requests_before(problem)
        seconds = time.perf_counter() - started_at
        return found.model_copy(update={"sent": sent, "seconds": seconds, "retries": retries})

    def _failure(self, problem: Exception) -> str:
        """Why there was no response, in a few words."""
        import openai

        if isinstance(problem, openai.APITimeoutError):
            return f"no answer within {self.timeout:g} s"
        if isinstance(problem, openai.APIConnectionError):
            return f"no connection ({type(problem.__cause__ or problem).__name__})"
        return str(problem)

    def _check_fatal(self, sent: dict[str, Any], problem: Any, said: str) -> None:
        """Raises UserError for errors that would affect every call."""
        from rpo_bench.remote.servers import redirect

        status, elsewhere = problem.status_code, redirect(problem)
        message = f" It says: {said.rstrip('.')}." if said else ""
        who = f"The judge {self.model} at {self._url}"
        if elsewhere is not None:
            raise UserError(
                f"{who} redirects to {elsewhere}, and redirects aren't followed: give the "
                "judge's own address with --judge-base-url."
            )
        if refuses_logprobs(sent, status, said):
            raise UserError(f"{who} gives no log-probabilities: leave out --judge-mode logprobs.{message}")
        if status in _FATAL:
            raise UserError(
                f"{who} answered HTTP {status}: {_FATAL[status].format(key=self.key_env)}.{message}"
            )

    def _read(self, answer: str) -> Attempt:
        """Parses an HTTP response; one that isn't a chat completion has no text."""
        from rpo_bench.remote.servers import parsed

        try:
            body = parsed(answer)
            choice = body["choices"][0]
            text, refusal = choice["message"].get("content"), choice["message"].get("refusal")
            if not isinstance(text, str | None):
                raise TypeError
            usage = body.get("usage") or {}
            return Attempt(
                text=text or (str(refusal) if refusal else text),
                finish=REFUSED if refusal else choice.get("finish_reason"),
                label_logps=_labels(choice) if self.mode == "logprobs" else None,
                prompt_tokens=_count(usage.get("prompt_tokens")),
                completion_tokens=_count(usage.get("completion_tokens")),
            )
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
            return Attempt(finish=MALFORMED)


def _labels(choice: dict[str, Any]) -> tuple[float | None, float | None] | None:
    """Log-probabilities of A and B among the top first tokens; None if the server gives none."""
    content = (choice.get("logprobs") or {}).get("content")
    if not content:
        return None
    found: dict[str, list[float]] = {}
    for one in content[0].get("top_logprobs") or [content[0]]:
        found.setdefault(str(one["token"]).strip(" \n▁Ġ"), []).append(float(one["logprob"]))
    first, second = (_sum(found.get(label, [])) for label in _LABELS)
    return first, second


def _sum(logps: list[float]) -> float | None:
    """The log-probability that any of a label's spellings occurs."""
    known = [logp for logp in logps if math.isfinite(logp)]
    return max(known) + math.log(sum(math.exp(one - max(known)) for one in known)) if known else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None
