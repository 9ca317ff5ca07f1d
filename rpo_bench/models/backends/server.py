"""Any server of OpenAI-compatible completions as a backend; one that tells its tokens is measured exactly.

vLLM's server takes token ids as prompt and says which tokens it sampled (``return_token_ids``). Servers that
know texts only are asked by text; their samples have no log-probabilities, so that KL stays unscored.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rpo_bench.errors import UserError
from rpo_bench.models.backends.protocol import Answer, Request, Sampled
from rpo_bench.spec import Decoding, ServerSettings
from rpo_bench.urls import without_secrets

_NO_KEY = "none"  # servers without keys get this; the package insists on one
_RETRIES = 5
_FLAG = "--generation-args base_url"


@dataclass(frozen=True)
class CompletionsServer:
    """Implements ``Backend``.

    Attributes:
        settings: Where it is, and how it is asked.
        folder: The checkpoint that it is to serve, by whose name it is found among the served ones.
    """

    settings: ServerSettings
    folder: Path

    def sample(self, requests: Sequence[Request], decoding: Decoding, end_ids: Sequence[int]) -> Answer:
        """Samples one response per request, ``concurrency`` at a time; see ``Backend``."""
        model = self.served()
        first = self._first(model, requests[0], decoding, end_ids)
        exact = first is not None

        def ask(request: Request) -> Sampled:
            return self._ask(model, request, decoding, end_ids if exact else None)

        with ThreadPoolExecutor(self.settings.concurrency) as pool:
            rest = pool.map(ask, requests[1:] if exact else requests)
            sampled = (*rest,) if first is None else (first, *rest)
        where = {"url": without_secrets(str(self._client.base_url)), "model": model}
        return Answer(sampled, {"backend": "openai-compatible completions", **where, "token_exact": exact})

    def served(self) -> str:
        """The name under which the server has the checkpoint: the one that was given, or its folder's.

        Raises:
            UserError: no server answers, or it has no such model.
        """
        models, given = self._models(), self.settings.model
        where = f"The server at {without_secrets(str(self._client.base_url))}"
        if given is not None:
            if models and given not in models:
                raise UserError(f"{where} has no model '{given}'; it has {_listed(models)}.")
            return given
        resolved = self.folder.resolve()
        names = [str(self.folder), str(resolved), resolved.name, resolved.parent.name]
        fitting = [name for name in models if name in names] or models or [str(resolved)]
        if len(fitting) != 1:
            raise UserError(
                f"{where} has {_listed(models)}: say by --generation-args model=NAME which is {self.folder}."
            )
        return fitting[0]

    def _models(self) -> list[str]:
        """What the server says that it has; empty where it doesn't say."""
        import openai

        url = without_secrets(str(self._client.base_url))
        try:
            return [str(model.id) for model in self._client.with_options(max_retries=0).models.list()]
        except openai.APIStatusError as error:
            if error.status_code in (401, 403):
                raise UserError(
                    f"The server at {url} refuses the key: check {self.settings.api_key_env}."
                ) from error
            return []
        except openai.OpenAIError as error:
            raise UserError(f"No server answers at {url}: start it, or correct {_FLAG}.") from error

    @cached_property
    def _client(self) -> Any:
        import openai

        url = self.settings.base_url
        if url is None or urlsplit(url).scheme not in ("http", "https"):
            said = "" if url is None else f" {without_secrets(url)} isn't one."
            raise UserError(
                f"--generation-backend openai needs {_FLAG}=URL, such as http://localhost:8000/v1.{said}"
            )
        key = os.environ.get(self.settings.api_key_env) or _NO_KEY
        return openai.OpenAI(api_key=key, base_url=url, timeout=self.settings.timeout, max_retries=_RETRIES)

    def _first(
        self, model: str, request: Request, decoding: Decoding, end_ids: Sequence[int]
    ) -> Sampled | None:
        """The first request by tokens; None where the server doesn't read them or say which it sampled."""
        import openai

        try:
            found = self._ask(model, request, decoding, end_ids)
        except openai.APIStatusError as error:
            if error.status_code not in (400, 422):
                raise
            return None
        return found if found.token_ids is not None else None

    def _ask(
        self, model: str, request: Request, decoding: Decoding, end_ids: Sequence[int] | None
    ) -> Sampled:
        """One response; with ``end_ids`` by tokens, without by text."""
        import openai

        asked: dict[str, Any] = {
            "model": model,
            "prompt": request.text if end_ids is None else list(request.token_ids),
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": request.seed,
        }
        if end_ids is not None:
            asked |= {"logprobs": 1, "extra_body": _exactly(end_ids)}
        try:
            answer = self._client.completions.create(**asked)
        except openai.APIStatusError as error:
            if end_ids is not None and error.status_code in (400, 422):
                raise
            raise self._failed(f"HTTP {error.status_code}") from error
        except openai.OpenAIError as error:
            raise self._failed(type(error).__name__) from error
        if not answer.choices:
            raise self._failed("an answer without a choice")
        return _read(answer.choices[0])

    def _failed(self, what: str) -> UserError:
        url = without_secrets(str(self._client.base_url))
        return UserError(f"The server at {url} could not sample ({what}, after {_RETRIES} retries).")


def _exactly(end_ids: Sequence[int]) -> dict[str, Any]:
    """What vLLM's server is told besides, so that no default of its or of the checkpoint's is applied."""
    return {
        "return_token_ids": True,
        "stop_token_ids": list(end_ids),
        "ignore_eos": True,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
    }


def _read(choice: Any) -> Sampled:
    finished = choice.finish_reason == "stop"
    tokens = getattr(choice, "token_ids", None)
    logps = None if choice.logprobs is None else choice.logprobs.token_logprobs
    if not tokens or not logps or len(tokens) != len(logps):
        return Sampled(None, None, choice.text or "", finished)
    return Sampled(tuple(tokens), tuple(logps), None, finished)


def _listed(models: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in models[:5]) + (" …" if len(models) > 5 else "")
