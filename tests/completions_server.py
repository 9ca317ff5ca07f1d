"""A server of completions that samples from a real model and answers as vLLM's does, or with less."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

from rpo_bench.models.hf import HFModel


@dataclass
class Completions:
    """A running server.

    Attributes:
        url: Its address.
        asked: Bodies of the requests to sample, in order.
        statuses: HTTP statuses that the next requests are answered with, in order, before any is served.
    """

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


@contextmanager
def completions_serving(
    model: HFModel,
    names: tuple[str, ...],
    tells_tokens: bool = True,
    key: str | None = None,
) -> Iterator[Completions]:
    """Serves a decoder-only model under some names; without ``tells_tokens`` it takes and gives texts."""
    served = Completions("")
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            models = [{"id": name, "object": "model", "created": 0, "owned_by": "test"} for name in names]
            self._send(200, {"object": "list", "data": models})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:  # the model is one, and so is the list
                served.asked.append(body)
                if served.statuses:
                    self._send(served.statuses.pop(0), {"error": {"message": "as the test wants"}})
                elif not tells_tokens and not isinstance(body["prompt"], str):
                    self._send(400, {"detail": "prompt must be a string."})
                else:
                    self._send(200, _completion(model, body, tells_tokens))

        def _send(self, status: int, body: dict[str, Any]) -> None:
            if key is not None and self.headers["Authorization"] != f"Bearer {key}":
                status, body = 401, {"error": {"message": "wrong key"}}
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def _completion(model: HFModel, body: dict[str, Any], tells_tokens: bool) -> dict[str, Any]:
    prompt = body["prompt"] if tells_tokens else model.encode(body["prompt"])
    ends = body.get("stop_token_ids") or list(model.end_ids)
    tokens, logps = _sampled(model, prompt, body["max_tokens"], ends, body["seed"])
    finished = tokens[-1] in ends
    choice: dict[str, Any] = {
        "index": 0, "text": model.texts([tokens])[0], "finish_reason": "stop" if finished else "length",
        "logprobs": None,
    }  # fmt: skip
    if tells_tokens:
        choice |= {"token_ids": tokens, "logprobs": {"token_logprobs": logps, "tokens": [""] * len(tokens)}}
    return {"id": "x", "object": "text_completion", "created": 0, "model": body["model"], "choices": [choice]}


@torch.no_grad()
def _sampled(
    model: HFModel, prompt: list[int], length: int, ends: list[int], seed: int
) -> tuple[list[int], list[float]]:
    """Ancestral samples by torch's own multinomial."""
    generator = torch.Generator().manual_seed(seed)
    tokens: list[int] = []
    logps: list[float] = []
    step: Callable[[list[int]], torch.Tensor] = lambda ids: model.model(torch.tensor([ids])).logits[0, -1]  # noqa: E731
    while len(tokens) < length and not (tokens and tokens[-1] in ends):
        distribution = step([*prompt, *tokens]).log_softmax(-1)  # (V,)
        token = int(torch.multinomial(distribution.exp(), 1, generator=generator))
        tokens.append(token)
        logps.append(float(distribution[token]))
    return tokens, logps
