"""Changing a stored record: nobody else changes it meanwhile, and nothing that another added is lost."""

from collections.abc import Iterator
from contextlib import contextmanager

from rpo_bench.files.atomic import one_writer
from rpo_bench.results.schema import Record
from rpo_bench.results.store import BrokenRecord, StoredRecord, read_record


@contextmanager
def updating(stored: StoredRecord) -> Iterator[Record]:
    """The record as it is on disk by now; the folder is this writer's alone for as long as the block runs."""
    with one_writer(stored.folder):
        try:
            record = read_record(stored.folder)
        except BrokenRecord:
            record = stored.record
        yield record
