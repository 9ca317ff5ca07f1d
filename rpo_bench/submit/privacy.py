"""Whether a contribution tells more than it should: places, names and keys of the machine it came from."""

import getpass
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.files.reading import read_bytes
from rpo_bench.results.places import ABSOLUTE
from rpo_bench.results.store import RECORD_FILE, SPEC_FILE, StoredRecord, read_train_log
from rpo_bench.submit.report import Check, ruled

_KEYS = re.compile(
    r"\b(?:sk-[\w-]{16,}|hf_\w{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|AKIA[0-9A-Z]{12,}|xox[abpr]-[\w-]{10,}"
    r"|AIza[\w-]{30,})|-----BEGIN [A-Z ]*PRIVATE KEY-----|[Bb]earer [\w.~+/-]{16,}"
)
#: Names of machines and accounts that say nothing of anybody.
_ANONYMOUS = {"root", "user", "ubuntu", "admin", "runner", "localhost", "docker", "jovyan"}
_SHORTEST = 3


def privacy(records: Sequence[StoredRecord], root: Path, names: Sequence[str] | None = None) -> Check:
    """Looks for absolute paths, names and keys in the records, specs and logs.

    Args:
        records: What was contributed.
        root: What findings are told relative to.
        names: Of the account and the machine; None: those of this one.
    """
    own = _own_names() if names is None else names
    whole = [re.compile(rf"(?<!\w){re.escape(name)}(?!\w)") for name in own if _telling(name)]
    found = [
        f"{stored.folder.relative_to(root).as_posix()}/{file}: {what}"
        for stored in records
        for file, text in _texts(stored)
        for what in _said(text, whole)
    ]
    return ruled(
        "privacy",
        "no absolute paths, account names or keys in records, specs and logs",
        "absolute paths, names or keys: {n}",
        found,
        "`rpo-bench publish` leaves names in the place of paths; run with relative paths and keys in the "
        "environment",
    )


def _texts(stored: StoredRecord) -> Iterator[tuple[str, str]]:
    for name in (RECORD_FILE, SPEC_FILE):
        file = stored.folder / name
        try:
            yield name, read_bytes(file).decode(errors="replace")
        except UserError:  # told elsewhere
            continue
    try:
        log = read_train_log(stored.folder)
    except UserError:  # told elsewhere
        return
    yield "training log", "\n".join(str(value) for row in log for value in row.values() if type(value) is str)


def _said(text: str, names: Sequence[re.Pattern[str]]) -> Iterator[str]:
    """What a text tells; a key isn't repeated."""
    for path in sorted(set(ABSOLUTE.findall(text))):
        yield f"the path {path}"
    yield from (f"the name {match[0]}" for name in names if (match := name.search(text)))
    for match in _KEYS.finditer(text):
        yield f"what looks like a key, {match[0][:6]}…: revoke it"


def _telling(name: str) -> bool:
    return len(name) >= _SHORTEST and name.lower() not in _ANONYMOUS


def _own_names() -> tuple[str, ...]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        user = ""
    return user, socket.gethostname()
