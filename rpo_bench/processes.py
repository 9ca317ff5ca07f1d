"""What the processes that we start have in common: they end with us, and run nothing of our script."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import connection, parent_process
from typing import Any


def die_with_parent() -> None:
    """Ends this process as soon as the one that started it is gone, however it went."""
    parent = parent_process()
    if parent is None:
        return
    if sys.platform == "linux":  # the fork server's end, which follows the parent's, kills us at once
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def without_main() -> Iterator[None]:
    """Hides whose script this is: a worker needs nothing of it, and importing it would run it once more.

    multiprocessing would; a script that calls ``rpo_bench.train_and_eval`` without the customary
    ``if __name__ == "__main__"`` would then start itself over and over.
    """
    main = sys.modules["__main__"]
    names = ("__file__", "__spec__")
    hidden: dict[str, Any] = {name: vars(main).pop(name) for name in names if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).pop("__spec__")
        vars(main).update(hidden)
