"""Checks a contribution's files for URLs with a password or a token, in any encoding."""

import re
from collections.abc import Iterator
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.files.reading import LARGE, read_bytes, unpacked
from rpo_bench.remote.scrubbing import HIDDEN, unescaped
from rpo_bench.remote.urls import query_secrets
from rpo_bench.results.store import SAMPLES_FILE
from rpo_bench.submit.report import Check, ruled

_HOST = r"@(?P<host>[\w\[][\w.:-]{0,60})"
_WITH_USER = re.compile(rf"(?<=[A-Za-z0-9])://(?P<user>[^\s/?#\"'<>]{{1,300}}){_HOST}")
_NO_SCHEME = re.compile(
    rf"(?:url|endpoint|address|server|host)[\"'\s=:]{{1,6}}(?P<user>[^\s\"'@/:=]{{1,99}}:[^\s\"'@/]{{1,99}}){_HOST}",
    re.IGNORECASE,
)
_WITH_QUERY = re.compile(r"(?<=[\w/])\?(?P<query>(?P<name>[\w.-]{1,99})=[^\s\"'<>]{1,2000})")
_HARMLESS = {"git", "user:password", "user:pass", "username:password", "user:secret"}  # of documentation
_SHORTEST = 6  # characters of a token


def secrets(folder: Path) -> Check:
    """Searches every file of a contribution, compressed or not.

    A finding in samples only may be a prompt's or a model's own text, and is a warning.

    Args:
        folder: The whole contribution.
    """
    found = {file: dict.fromkeys(_said(file)) for file in sorted(folder.rglob("*")) if not file.is_dir()}
    findings = [
        f"{file.relative_to(folder).as_posix()}: {one}" for file, said in found.items() for one in said
    ]
    quoted = all(file.name == SAMPLES_FILE for file, said in found.items() if said)
    return ruled(
        "secrets",
        "no URL with a user, a password or a token in any file",
        "URLs with a user, a password or a token: {n}",
        findings,
        "remove them, and change these credentials: they count as public",
        "warning" if quoted else "failed",
    )


def _said(file: Path) -> Iterator[str]:
    """The findings in a file; secrets are not repeated."""
    try:
        data = read_bytes(file, LARGE)
        text = (unpacked(data) if file.suffix == ".gz" else data).decode("utf-8", "replace")
    except (UserError, ValueError) as error:
        yield f"it can't be searched ({str(error).replace(str(file), '').strip(' .:')})"
        return
    for form in unescaped(text):
        for match in _with_users(form):
            if match["user"] not in _HARMLESS and HIDDEN not in match["user"]:
                yield f"a URL with user info, at {match['host']}"
        for match in _WITH_QUERY.finditer(form) if "?" in form else ():
            tokens = (one for one in query_secrets(match["query"]) if len(one) >= _SHORTEST)
            if any(HIDDEN not in one for one in tokens):
                yield f"a URL with a possible token, in its query ?{match['name']}="


def _with_users(text: str) -> Iterator[re.Match[str]]:
    if "@" in text:
        yield from _WITH_USER.finditer(text)
        yield from _NO_SCHEME.finditer(text)
