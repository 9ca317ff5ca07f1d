"""Pauses the garbage collector while a page is built."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pauses Python's cyclic garbage collector and restores its state afterwards.

    A build reads a million lines into lists and dictionaries without reference cycles. Scanning them
    repeatedly takes an eighth of its time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
