"""Checks a contribution for private data: paths, names and keys of the machine that it came from."""

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
#: Generic names of machines and accounts.
_ANONYMOUS = {"root", "user", "ubuntu", "admin", "runner", "localhost", "docker", "jovyan"}
_SHORTEST = 3


def privacy(records: Sequence[StoredRecord], root: Path, names: Sequence[str] | None = None) -> Check:
    """Looks for absolute paths, names and keys in the records, specs and logs.

    Args:
        records: The contributed records.
        root: Findings name paths relative to it.
        names: Names of the account and the machine; None: those of this machine.
    """
    own = _own_names() if names is None else names
    whole = [re.compile(rf"(?<!\w){re.escape(name)}(?!\w)") for name in own if _identifying(name)]
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
        "`rpo-bench publish` replaces paths by names; run with relative paths, and with keys in the "
        "environment",
    )


def _texts(stored: StoredRecord) -> Iterator[tuple[str, str]]:
    for name in (RECORD_FILE, SPEC_FILE):
        file = stored.folder / name
        try:
            yield name, read_bytes(file).decode(errors="replace")
        except UserError:  # checked elsewhere
            continue
    try:
        log = read_train_log(stored.folder)
    except UserError:  # checked elsewhere
        return
    yield "training log", "\n".join(str(value) for row in log for value in row.values() if type(value) is str)


def _said(text: str, names: Sequence[re.Pattern[str]]) -> Iterator[str]:
    """The findings in a text; keys are not repeated."""
    for path in sorted(set(ABSOLUTE.findall(text))):
        yield f"the path {path}"
    yield from (f"the name {match[0]}" for name in names if (match := name.search(text)))
    for match in _KEYS.finditer(text):
        yield f"a possible key, {match[0][:6]}…: revoke it"


def _identifying(name: str) -> bool:
    return len(name) >= _SHORTEST and name.lower() not in _ANONYMOUS


def _own_names() -> tuple[str, ...]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        user = ""
    return user, socket.gethostname()
