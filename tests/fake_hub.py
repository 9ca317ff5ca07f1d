"""A hub on loopback that answers as the real one does when it doesn't give a model or dataset."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ERRORS = {
    "org/gated": (403, "GatedRepo", "Access to model org/gated is restricted."),
    "org/gated-anonymous": (401, "GatedRepo", "Access to model org/gated-anonymous is restricted."),
    "org/absent": (404, "RepoNotFound", "Repository not found"),
    "org/private": (401, "RepoNotFound", "Invalid username or password."),
    "org/busy": (500, None, "Internal error"),
}


def waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that this process asks to sleep from now on, which it doesn't."""
    asked: list[float] = []
    monkeypatch.setattr(time, "sleep", asked.append)
    return asked


@contextmanager
def fake_hub(folder: Path | None = None) -> Iterator[str]:
    """Serves on a free port; gives its address. ``folder`` is what it serves as ``org/whole``."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            for name, (status, code, text) in ERRORS.items():
                if f"/{name}/" in f"{path}/":
                    return self._answer(status, b"{}", {"X-Error-Code": code, "X-Error-Message": text})
            if "/revision/" in path and not path.endswith((COMMIT, "/main")):
                found = {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "no such revision"}
                return self._answer(404, b"{}", found)
            if "/resolve/" in path and folder is not None:
                return self._file(folder / path.rpartition("/")[2])
            if "/tree/" in path:
                return self._answer(200, json.dumps(self._tree()).encode(), {})
            siblings = [{"rfilename": item["path"]} for item in self._tree()]
            info = {"id": "org/whole", "sha": COMMIT, "siblings": siblings, "private": False}
            return self._answer(200, json.dumps(info).encode(), {})

        def _tree(self) -> list[dict[str, object]]:
            files = [] if folder is None else sorted(folder.iterdir())
            return [
                {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": f"{i:040x}"}
                for i, f in enumerate(files)
            ]

        def _file(self, file: Path) -> None:
            if not file.is_file():
                return self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            etag = {"ETag": f'"{file.stat().st_size:040x}"', "X-Repo-Commit": COMMIT}
            return self._answer(200, file.read_bytes(), etag)

        def _answer(self, status: int, body: bytes, headers: dict[str, str | None]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if value is not None:
                    self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
