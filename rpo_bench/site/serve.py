"""Serves the page on this machine's loopback address."""

import errno
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError

#: Other machines on the network can't reach it.
LOOPBACK = "127.0.0.1"
_OWN_NAMES = (LOOPBACK, "localhost")


class _Handler(SimpleHTTPRequestHandler):
    """Serves files to requests for this machine's own name, without logging."""

    def send_head(self) -> Any:
        """Refuses other host names for this address (DNS rebinding)."""
        if self.headers.get("Host", "").rpartition(":")[0] not in _OWN_NAMES:
            self.send_error(403, "Open this page at its own address")
            return None
        return super().send_head()

    def end_headers(self) -> None:
        """Disables caching: the page may be rebuilt while it is open."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""


def page_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of a folder's files on the loopback address, not yet serving.

    Args:
        folder: The folder to serve.
        port: Port number; 0: any free port.

    Raises:
        UserError: The port is in use or not allowed.
    """
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror})"
        raise UserError(f"Port {port} {why}: choose another with --port, or 0 for any free port.") from error


def address(server: ThreadingHTTPServer) -> str:
    """The URL to open."""
    return f"http://{LOOPBACK}:{server.server_address[1]}/"
