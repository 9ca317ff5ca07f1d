"""Any OpenAI-compatible server as a judge, through the openai package."""

import json
import math
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

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
from rpo_bench.urls import credentials, without_secrets

MALFORMED = "malformed"  # ``finish`` of an answer that isn't a chat completion

_LABELS = ("A", "B")
_NO_KEY = "none"  # servers without keys get this; the package insists on one
_AGAIN = "\n\nReply with the JSON object alone."
_KEY_LIKE = re.compile(r"\bsk-[\w-]{8,}|(?<=Bearer )\S+")
_CHARS_PER_TOKEN = 3  # few, so that estimates of English lie above
_TOKENS_PER_TURN = 16
_FATAL = {
    401: "it refuses the key: check {key}",
    403: "it forbids the request: check {key} and the model's name",
    404: "it doesn't know the model or the path: check the model's name and --judge-base-url",
}


@dataclass(frozen=True)
class OpenAIJudge:
    """A chat model, at temperature 0 where it lets us; implements ``Judge``.

    Attributes:
        model: As the server calls it.
        template: What it is shown.
        mode: ``verdict`` reads its text, ``logprobs`` the log-probabilities of A and B as first token.
        base_url: None: the package's own, or OPENAI_BASE_URL.
        key_env: Name of the environment variable that holds the key; the key itself is nowhere kept.
        concurrency: Calls in flight.
        timeout: Seconds of one HTTP request.
        max_retries: Of connection errors, time-outs, 408, 409, 429 and 5xx; with back-off, or as long as
            Retry-After says.
        max_tokens: Of a reply.
        limit: Under which name that is sent; see ``Wanted``.
        temperature: See ``Wanted``.
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

    batch_size: int = 1
    asks_again: bool = True

    @property
    def identity(self) -> dict[str, Any]:
        """Model, server, sampling and template; nothing of the key."""
        return {
            "backend": "openai",
            "model": self.model,
            "base_url": without_secrets(str(self._client.base_url)),
            "mode": self.mode,
            **self._accepted.wanted.identity,
            "template": self.template.name,
            "template_hash": self.template.hash,
            "max_chars": self.template.max_chars,
        }

    @property
    def max_chars(self) -> int:
        """As the template has it."""
        return self.template.max_chars

    @cached_property
    def _accepted(self) -> Accepted:
        return Accepted(Wanted(self.mode, self.max_tokens, self.limit, self.temperature))

    @cached_property
    def _client(self) -> Any:
        import openai

        key = os.environ.get(self.key_env)
        base_url = self.base_url or os.environ.get("OPENAI_BASE_URL")
        if not key and base_url is None:
            raise UserError(
                f"The judge needs a key: set {self.key_env}, name another variable by --judge-api-key-env, "
                "or name a server that needs none by --judge-base-url."
            )
        if base_url is not None and urlsplit(base_url).scheme not in ("http", "https"):
            raise UserError(
                f"--judge-base-url {without_secrets(base_url)}: it must begin with http:// or https://."
            )
        return openai.OpenAI(
            api_key=key or _NO_KEY, base_url=base_url, timeout=self.timeout, max_retries=self.max_retries
        )

    def ask(self, calls: Sequence[Call], again: bool = False) -> list[Attempt]:
        """One attempt per call; raises UserError for what would fail for every call."""
        return [self._ask(call, again) for call in calls]

    def estimated_tokens(self, call: Call) -> tuple[int, int]:
        """From the characters of what is shown, and the longest reply.

        Beyond ASCII a character may be as many tokens as bytes.
        """
        shown = self.template.question(call)
        plain = sum(letter.isascii() for letter in shown)
        others = len(shown.encode("utf-8", "surrogatepass")) - plain
        return math.ceil(plain / _CHARS_PER_TOKEN) + others + _TOKENS_PER_TURN, self._accepted.wanted.tokens

    def _ask(self, call: Call, again: bool) -> Attempt:
        begun = time.perf_counter()
        while True:
            sent = self._accepted.sent
            attempt = self._request(call, again, sent, begun)
            if attempt is not None:
                return attempt

    def _request(self, call: Call, again: bool, sent: dict[str, Any], begun: float) -> Attempt | None:
        """What comes of a request; None where the server has refused a parameter that can be left out."""
        import openai

        shown = self.template.question(call) + (_AGAIN if again and self.mode == "verdict" else "")
        asked = {"model": self.model, **sent, "messages": [{"role": "user", "content": shown}]}
        retries = self.max_retries
        try:
            raw = self._client.chat.completions.with_raw_response.create(**asked)
            found = self._read(raw.http_response.text)
            seconds = time.perf_counter() - begun
            return found.model_copy(update={"sent": sent, "seconds": seconds, "retries": raw.retries_taken})
        except openai.APITimeoutError:
            error = f"no answer within {self.timeout:g} s"
        except openai.APIConnectionError as problem:
            error = f"no connection ({type(problem.__cause__ or problem).__name__})"
        except openai.APIStatusError as problem:
            status, said = problem.status_code, self._without_key(sentence(problem.response.text))
            if self._accepted.adapts(sent, status, said):
                return None
            self._check_fatal(sent, status, said)
            error = f"HTTP {status}" + (f": {said}" if said else "")
            refused = 400 <= status < 500 and status not in (408, 409, 429)
            retries = 0 if refused else retries
        return Attempt(error=error, sent=sent, seconds=time.perf_counter() - begun, retries=retries)

    def _check_fatal(self, sent: dict[str, Any], status: int, said: str) -> None:
        """Raises UserError for what would fail for every call."""
        told = f" It says: {said.rstrip('.')}." if said else ""
        who = f"The judge {self.model} at {without_secrets(str(self._client.base_url))}"
        if refuses_logprobs(sent, status, said):
            raise UserError(f"{who} gives no log-probabilities: leave out --judge-mode logprobs.{told}")
        if status in _FATAL:
            raise UserError(f"{who} answered HTTP {status}: {_FATAL[status].format(key=self.key_env)}.{told}")

    def _read(self, answer: str) -> Attempt:
        """What an HTTP answer says; one that isn't a chat completion has no text and can't be read."""
        try:
            body = json.loads(self._without_key(answer))
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
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return Attempt(finish=MALFORMED)

    def _without_key(self, text: str) -> str:
        """A server's words without the key, should it repeat it, and without what its address says of us."""
        secrets = [os.environ.get(self.key_env), *credentials(str(self._client.base_url))]
        for secret in secrets:
            text = text.replace(secret, "***") if secret else text
        return _KEY_LIKE.sub("***", text)


def _labels(choice: dict[str, Any]) -> tuple[float | None, float | None] | None:
    """Log-probabilities of A and B among the likeliest first tokens; None where the server gives none."""
    content = (choice.get("logprobs") or {}).get("content")
    if not content:
        return None
    found: dict[str, list[float]] = {}
    for one in content[0].get("top_logprobs") or [content[0]]:
        found.setdefault(str(one["token"]).strip(" \n▁Ġ"), []).append(float(one["logprob"]))
    first, second = (_sum(found.get(label, [])) for label in _LABELS)
    return first, second


def _sum(logps: list[float]) -> float | None:
    """The log-probability of any of several spellings of a label."""
    known = [logp for logp in logps if math.isfinite(logp)]
    return max(known) + math.log(sum(math.exp(one - max(known)) for one in known)) if known else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
