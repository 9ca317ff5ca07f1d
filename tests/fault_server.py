"""A server on loopback that answers in bytes of a test's choice, as slowly as it likes."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request: its method, its path with the query, its headers in small letters, its body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FaultServer:
    """A running server: its address with ``/v1``, and what it was asked, in order."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """Of what it was asked."""
        return [one.path for one in self.asked]


#: Writes an answer, piece by piece; ends when the client is gone.
Answering = Callable[[Asked], Iterator[bytes]]


def http(body: bytes, status: str = "200 OK", kind: str = "application/json", **headers: str) -> bytes:
    """A whole answer; ``content_type`` names a header as ``Content-Type``."""
    lines = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def good(asked: Asked, text: str = '{"verdict": "A"}', model: str = "ckpt") -> bytes:
    """The answer of a server without faults: to a chat, a completion or the list of models."""
    if asked.path.partition("?")[0].endswith("/models"):
        return http(json.dumps({"object": "list", "data": [{"id": model, "object": "model"}]}).encode())
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "text": text}
    choice["message"] = {"role": "assistant", "content": text}
    return http(json.dumps({"id": "x", "object": "x", "created": 0, "choices": [choice]}).encode())


@contextmanager
def faults_serving(answering: Answering) -> Iterator[FaultServer]:
    """Serves ``answering``; a connection is closed after each answer."""
    served = FaultServer()
    over = threading.Event()

    class Handler(StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            method, path, *_ = self.rfile.readline().decode("latin-1").split(" ")
            lines = iter(lambda: self.rfile.readline().decode("latin-1").strip(), "")
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            asked = Asked(method, path, headers, body)
            served.asked.append(asked)
            with suppress(OSError):
                for part in answering(asked):
                    if over.is_set():
                        return
                    self.connection.sendall(part)
                self.connection.shutdown(socket.SHUT_RDWR)

    class Server(ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that goes away is none."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield served
    finally:
        over.set()
        server.shutdown()
        server.server_close()
