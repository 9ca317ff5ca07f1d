"""An OpenAI-compatible server whose answers, delays and faults a test chooses; it counts every request."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-secret-of-the-test"


@dataclass
class Answer:
    """What a server sends: a status, headers, and the body's bytes; ``cut`` closes before the body's end."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


def completion(text: str | None, finish: str = "stop", usage: bool = True, **choice: Any) -> Answer:
    """A chat completion of 100 tokens in and 10 out."""
    message = {"role": "assistant", "content": text}
    body: dict[str, Any] = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, **choice}],
    }
    if usage:
        body["usage"] = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return Answer(json.dumps(body).encode())


def verdict(which: str, **more: Any) -> Answer:
    """A completion that says which answer is better."""
    return completion(json.dumps({"verdict": which}), **more)


def longer(shown: str) -> str:
    """The longer of the two answers that the package's template shows."""
    first, second = (shown.split(f"<<<ANSWER {x}\n")[1].split("\n>>>")[0] for x in "AB")
    return "tie" if len(first) == len(second) else "A" if len(first) > len(second) else "B"


@dataclass
class Server:
    """A running server: where it is, and what it was asked, in order."""

    url: str
    asked: list[dict[str, Any]]


@contextmanager
def serving(answer: Callable[[str, int], Answer]) -> Iterator[Server]:
    """Serves ``answer(shown, how often that was asked before)`` on loopback."""
    asked: list[dict[str, Any]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            shown = request["messages"][0]["content"]
            with lock:
                before = sum(one["messages"][0]["content"] == shown for one in asked)
                asked.append(request)
            given = answer(shown, before)
            try:
                self.send_response(given.status)
                for name, value in given.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(given.body)))
                self.end_headers()
                self.wfile.write(given.body[: len(given.body) // 2] if given.cut else given.body)
                self.wfile.flush()
            except OSError:  # the client didn't wait
                self.close_connection = True
            if given.cut:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        request_queue_size = 256
        daemon_threads = True

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_address[1]}/v1", asked)
    finally:
        server.shutdown()
        server.server_close()
