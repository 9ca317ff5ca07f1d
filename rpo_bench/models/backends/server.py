"""A server with OpenAI-compatible completions as a backend.

vLLM's server takes token ids as the prompt and returns the sampled tokens (``return_token_ids``), so KL is
exact. Servers that only take text give samples without log-probabilities, and their KL is unscored.
"""

import math
import operator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.models.backends.protocol import Answer, Request, SampledResponse
from rpo_bench.remote.scrubbing import well_formed
from rpo_bench.remote.urls import Address, api_key
from rpo_bench.spec.sections import Decoding, ServerSettings

_FLAG = "--generation-args base_url"


@dataclass(frozen=True)
class CompletionsServer:
    """Implements ``Backend``.

    Attributes:
        settings: The server's address and request settings.
        folder: The checkpoint it should serve; its name identifies it among the served models.
        retries: Retries after connection errors, time-outs, 408, 409, 429 and 5xx.
        reply_bytes: Maximum size of an HTTP response.
    """

    settings: ServerSettings
    folder: Path
    retries: int = 5
    reply_bytes: int = 2**22

    def sample(self, requests: Sequence[Request], decoding: Decoding, end_ids: Sequence[int]) -> Answer:
        """Samples one response per request, ``concurrency`` at a time; see ``Backend``."""
        model = self.served()
        first = self._first(model, requests[0], decoding, end_ids)
        exact = first is not None

        def ask(request: Request) -> SampledResponse:
            return self._ask(model, request, decoding, end_ids if exact else None)

        with ThreadPoolExecutor(self.settings.concurrency) as pool:
            rest = pool.map(ask, requests[1:] if exact else requests)
            sampled = (*rest,) if first is None else (first, *rest)
        where = {"url": self._url, "model": model}
        return Answer(sampled, {"backend": "openai-compatible completions", **where, "token_exact": exact})

    def served(self) -> str:
        """The checkpoint's name on the server: the given one, or its folder's name.

        Raises:
            UserError: no server answers, or it has no such model.
        """
        models, given = self._models(), self.settings.model
        where = f"The server at {self._url}"
        if given is not None:
            if models and given not in models:
                raise UserError(f"{where} has no model '{given}'; it has {_listed(models)}.")
            return given
        resolved = self.folder.resolve()
        names = [str(self.folder), str(resolved), resolved.name, resolved.parent.name]
        fitting = [name for name in models if name in names] or models or [str(resolved)]
        if len(fitting) != 1:
            raise UserError(
                f"{where} has {_listed(models)}: set --generation-args model=NAME to the one that is "
                f"{self.folder}."
            )
        return fitting[0]

    def _models(self) -> list[str]:
        """The models that the server lists; empty if it lists none."""
        import openai

        from rpo_bench.remote.servers import parsed, redirect

        try:
            raw = self._client.with_options(max_retries=0).models.with_raw_response.list()
            return [well_formed(str(model["id"])) for model in parsed(raw.http_response.text)["data"]]
        except openai.APIStatusError as error:
            self._check_redirect(redirect(error))
            if error.status_code in (401, 403):
                raise UserError(
                    f"The server at {self._url} refuses the key: check {self.settings.api_key_env}, or give "
                    f"user and password again with {_FLAG} (they aren't stored)."
                ) from error
            return []
        except openai.OpenAIError as error:
            raise UserError(
                f"No server answers at {self._url}{_why(error)}: start it, or correct {_FLAG}."
            ) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(
                f"{self._url} isn't a server of completions (its list of models isn't valid JSON): correct "
                f"{_FLAG}, which often ends in /v1."
            ) from error

    @cached_property
    def _address(self) -> Address:
        return checked_address(self.settings)

    @cached_property
    def _client(self) -> Any:
        from rpo_bench.remote.servers import connect

        return connect(
            self._address,
            api_key(self.settings.api_key_env),
            timeout=self.settings.timeout,
            retries=self.retries,
            size=self.reply_bytes,
        )

    @property
    def _url(self) -> str:
        return str(self._client.base_url).rstrip("/")

    def _check_redirect(self, elsewhere: str | None) -> None:
        if elsewhere is not None:
            raise UserError(
                f"The server at {self._url} redirects to {elsewhere}, and redirects aren't "
                f"followed: give the server's own address with {_FLAG}."
            )

    def _first(
        self, model: str, request: Request, decoding: Decoding, end_ids: Sequence[int]
    ) -> SampledResponse | None:
        """Tries the first request with tokens; None if the server doesn't take or return tokens."""
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
    ) -> SampledResponse:
        """Requests one response: with tokens if ``end_ids`` are given, otherwise with text."""
        import openai

        from rpo_bench.remote.servers import parsed, redirect, requests_before

        arguments: dict[str, Any] = {
            "model": model,
            "prompt": well_formed(request.text) if end_ids is None else list(request.token_ids),
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": request.seed,
        }
        if end_ids is not None:
            arguments |= {"logprobs": 1, "extra_body": _exactly(end_ids)}
        try:
            raw = self._client.completions.with_raw_response.create(**arguments)
            return self._read(parsed(raw.http_response.text)["choices"][0])
        except openai.APIStatusError as error:
            self._check_redirect(redirect(error))
            if end_ids is not None and error.status_code in (400, 422):
                raise
            raise self._failed(f"HTTP {error.status_code}", requests_before(error)) from error
        except openai.OpenAIError as error:
            why = _why(error).strip(" ()") or "no connection"
            raise self._failed(why, requests_before(error)) from error
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
            raise self._failed("an answer that isn't a completion") from error

    def _read(self, choice: dict[str, Any]) -> SampledResponse:
        """Parses a response; raises ValueError or TypeError for an invalid one."""
        finished = choice.get("finish_reason") == "stop"
        tokens, found = choice.get("token_ids"), choice.get("logprobs")
        logps = None if found is None else found.get("token_logprobs")
        if tokens and logps and len(tokens) == len(logps):
            ids, values = tuple(map(operator.index, tokens)), tuple(map(float, logps))
            if min(ids) < 0 or not all(map(math.isfinite, values)):
                raise ValueError("token ids below 0, or log-probabilities that aren't numbers")
            return SampledResponse(ids, values, None, finished)
        text = choice.get("text") or ""
        if not isinstance(text, str):
            raise TypeError("a text that isn't one")
        return SampledResponse(None, None, well_formed(text), finished)

    def _failed(self, what: str, retries: int = 0) -> UserError:
        tried = f", after {retries} retries" if retries else ""
        return UserError(f"The server at {self._url} could not sample ({what}{tried}).")


def checked_address(settings: ServerSettings) -> Address:
    """The validated address of a server.

    Raises:
        UserError: The address is missing or invalid, or the key can't be sent in a header.
    """
    if settings.base_url is None:
        raise UserError(f"--generation-backend openai needs {_FLAG}=URL, such as http://localhost:8000/v1.")
    api_key(settings.api_key_env)
    return settings.base_url.checked(_FLAG)


def _why(error: Exception) -> str:
    """The reason of a connection failure in brackets; "" if no server is listening."""
    import openai

    from rpo_bench.remote.servers import ReplyError

    if isinstance(error, openai.APITimeoutError):
        return " (it takes too long: see --generation-args timeout)"
    return f" ({error})" if isinstance(error, ReplyError) else ""


def _exactly(end_ids: Sequence[int]) -> dict[str, Any]:
    """Further settings for vLLM's server, so that no defaults of the server or checkpoint apply."""
    return {
        "return_token_ids": True,
        "stop_token_ids": list(end_ids),
        "ignore_eos": True,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
    }


def _listed(models: Sequence[str]) -> str:
    return ", ".join(f"'{name[:80]}'" for name in models[:5]) + (" …" if len(models) > 5 else "")
