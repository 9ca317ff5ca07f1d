"""A client for servers with OpenAI-compatible models, which doesn't trust their responses.

Requests go only to the given address. They end at their time-out, even if the response trickles in.
Responses have a size limit, and secrets are removed from them in any escaped form. URLs that libraries log
contain no secrets. Importing this module imports the openai package.
"""

import base64
import json
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx2
import openai

from rpo_bench.remote.scrubbing import Secrets, well_formed
from rpo_bench.remote.urls import Address

NO_KEY = "none"  # sent to servers without keys, as the package requires one
REPLY_BYTES = 4 * 2**20

_TRIES = "x-stainless-retry-count"  # the package's header: requests before this one


class ReplyError(openai.OpenAIError):
    """An unusable response; the request isn't repeated.

    Attributes:
        request: The request.
    """

    def __init__(self, reason: str, request: httpx2.Request) -> None:
        super().__init__(reason)
        self.request = request


def connect(
    address: Address, key: str | None, *, timeout: float, retries: int, size: int = REPLY_BYTES
) -> openai.OpenAI:
    """A client for one server; its connections close when it is garbage-collected.

    Args:
        address: A validated address.
        key: Sent as Bearer unless the address has a user and a password of its own.
        timeout: Seconds for one request, in total and between two bytes.
        retries: Retries after connection errors, time-outs, 408, 409, 429 and 5xx. Retry-After (seconds or a
            date) is respected up to two minutes; beyond that there is no retry.
        size: Maximum size of a response in bytes.
    """
    sending = _Sending(address, Secrets.of(key, address), timeout, size)
    sender = openai.DefaultHttpxClient(transport=sending, follow_redirects=False, timeout=timeout)
    client = openai.OpenAI(
        api_key=key or NO_KEY, base_url=str(address), timeout=timeout, max_retries=retries, http_client=sender
    )
    weakref.finalize(client, sending.close)
    return client


def requests_before(error: openai.OpenAIError) -> int:
    """The number of requests before the one that finally failed."""
    request = getattr(error, "request", None)
    number = "" if request is None else request.headers.get(_TRIES, "")
    return int(number) if number.isdecimal() else 0


def redirect(error: openai.APIStatusError) -> str | None:
    """The target of a redirect; None for any other status."""
    if not 300 <= error.status_code < 400:
        return None
    return str(Address(well_formed(error.response.headers.get("location", "nowhere"))))[:200]


def parsed(text: str) -> Any:
    """A response's JSON; raises ValueError for invalid JSON."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


@dataclass
class _Sending(httpx2.BaseTransport):
    """Sends requests with the address's secrets, within time and size limits."""

    address: Address
    secrets: Secrets
    timeout: float
    size: int
    inner: httpx2.BaseTransport = field(init=False)

    def __post_init__(self) -> None:
        self.inner = httpx2.HTTPTransport(proxy=_proxy(httpx2.URL(str(self.address))))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends one request in its own thread, as DNS, headers and bytes can each block forever."""
        found: SimpleQueue[httpx2.Response | Exception] = SimpleQueue()
        end = time.monotonic() + self.timeout

        def ask() -> None:
            try:
                found.put(self._answer(request, end))
            except Exception as error:
                found.put(error)

        threading.Thread(target=ask, daemon=True).start()
        try:
            answer = found.get(timeout=self.timeout)
        except Empty:
            raise httpx2.ReadTimeout("no whole answer in time", request=request) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Closes the connections."""
        self.inner.close()

    def _answer(self, request: httpx2.Request, end: float) -> httpx2.Response:
        answer = self.inner.handle_request(self._whole(request))
        body = bytearray()
        try:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise ReplyError("its answer is compressed, which wasn't requested", request)
            for part in answer.iter_raw():
                body += part
                if len(body) > self.size:
                    raise ReplyError(f"its answer is longer than {self.size:,} bytes", request)
                if time.monotonic() > end:  # the caller has stopped waiting
                    raise httpx2.ReadTimeout("no whole answer in time", request=request)
        finally:
            answer.close()
        return self._without_secrets(
            httpx2.Response(answer.status_code, headers=answer.headers, content=bytes(body))
        )

    def _without_secrets(self, answer: httpx2.Response) -> httpx2.Response:
        """A response in UTF-8 without secrets, safe to store, print or log."""
        kept = {
            name: self.secrets.out_of(value)
            for name, value in answer.headers.items()
            if not name.startswith("content-") and name != "transfer-encoding"
        }
        text = self.secrets.out_of(answer.content.decode("utf-8", "replace"))  # in no codec of its choice
        return httpx2.Response(
            answer.status_code,
            headers={**kept, "content-type": "application/json; charset=utf-8"},
            content=well_formed(text).encode(),
        )

    def _whole(self, request: httpx2.Request) -> httpx2.Request:
        """The request for the server; the one that libraries see and log has no secrets in its URL."""
        headers: Mapping[str, str] = {**request.headers, "accept-encoding": "identity"} | _basic(self.address)
        query = "&".join(part for part in (self.address.query, request.url.query.decode()) if part)
        url = request.url.copy_with(query=query.encode()) if query else request.url
        return httpx2.Request(
            request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
        )


def _basic(address: Address) -> dict[str, str]:
    if address.user_info is None:
        return {}
    return {"authorization": "Basic " + base64.b64encode(":".join(address.user_info).encode()).decode()}


def _proxy(url: httpx2.URL) -> str | None:
    """The proxy for a URL from the environment."""
    proxies = getproxies()
    if proxy_bypass(url.host):
        return None
    return proxies.get(url.scheme) or proxies.get("all")
