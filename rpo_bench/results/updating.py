"""Updates a stored record under a lock, so that concurrent changes aren't lost."""

from collections.abc import Iterator
from contextlib import contextmanager

from rpo_bench.files.atomic import one_writer
from rpo_bench.results.schema import Record
from rpo_bench.results.store import BrokenRecord, StoredRecord, read_record


@contextmanager
def updating(stored: StoredRecord) -> Iterator[Record]:
    """Locks the folder for the block and yields the record as it is on disk now."""
    with one_writer(stored.folder):
        try:
            record = read_record(stored.folder)
        except BrokenRecord:
            record = stored.record
        yield record
