"""Ends a command at Ctrl-C; imports nothing, so that it works from the start."""

import signal
import sys
from typing import NoReturn

STOPPED = "Stopped. Run the same command again to continue."
INTERRUPTED = 130


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is Ctrl-C or was raised from it, as Python 3.11 does while it makes a class."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, KeyboardInterrupt):
        found = found.__cause__
    return found is not None


def keep_interrupts() -> None:
    """Sends a Ctrl-C again that came inside a destructor, where Python would report and forget it."""
    others = sys.unraisablehook

    def told(found: "sys.UnraisableHookArgs") -> None:
        if not isinstance(found.exc_value, KeyboardInterrupt):
            others(found)
            return
        import threading

        main = threading.main_thread().ident or 0
        # Not here, where it would be forgotten again.
        threading.Timer(0.01, signal.pthread_kill, (main, signal.SIGINT)).start()

    sys.unraisablehook = told


def stop() -> NoReturn:
    """Reports that the command was stopped and ends the process; ignores a second Ctrl-C meanwhile."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stderr.write(f"{STOPPED}\n")
    # CPython kills itself by SIGINT at its end when the interrupt came inside an exec of a string, as
    # dataclasses have it, even if it was caught; the next exec clears that.
    exec("")
    sys.exit(INTERRUPTED)
