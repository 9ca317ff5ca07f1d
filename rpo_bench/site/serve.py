"""Looking at the page through a server on this machine's loopback address."""

import errno
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError

#: Nobody else on the network sees it.
LOOPBACK = "127.0.0.1"
_OWN_NAMES = (LOOPBACK, "localhost")


class _Handler(SimpleHTTPRequestHandler):
    """Serves files, to whoever asks for this machine by its own name, and says nothing of it."""

    def send_head(self) -> Any:
        """Refuses other sites' names for this address, under which their pages could read ours."""
        if self.headers.get("Host", "").rpartition(":")[0] not in _OWN_NAMES:
            self.send_error(403, "Ask for this page by its own address")
            return None
        return super().send_head()

    def end_headers(self) -> None:
        """The page may be built anew while it is looked at."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests aren't worth a line."""


def page_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of a folder's files on the loopback address, not yet serving.

    Args:
        folder: What it serves.
        port: 0: any that is free.

    Raises:
        UserError: The port is taken, or may not be used.
    """
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror})"
        raise UserError(f"Port {port} {why}: name another with --port, or 0 for any that is free.") from error


def address(server: ThreadingHTTPServer) -> str:
    """What to open."""
    return f"http://{LOOPBACK}:{server.server_address[1]}/"
