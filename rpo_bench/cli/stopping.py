"""How a command ends at Ctrl-C, whenever it comes; imports nothing, so that it can be said from the start."""

import signal
import sys
from typing import NoReturn

STOPPED = "Stopped. Run the same command again to go on where it was."
INTERRUPTED = 130


def stop() -> NoReturn:
    """Says that the command was stopped, and ends the process; a second Ctrl-C meanwhile changes nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stderr.write(f"{STOPPED}\n")
    # CPython kills itself by SIGINT at its end when the interrupt came inside an exec of a string, as
    # dataclasses have it, even if it was caught; the next exec clears that.
    exec("")
    sys.exit(INTERRUPTED)
