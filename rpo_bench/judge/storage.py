"""Stores a judge's calls and replies in append-only files, so that a crash loses little."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, TextIO, TypeVar

from pydantic import BaseModel, ValidationError

from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_file, explained
from rpo_bench.files.hashing import hash_json
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.files.reading import parse_json, read_json, read_log, suspicious
from rpo_bench.files.validation import first_problem
from rpo_bench.judge.parsing import Answer, read_attempt
from rpo_bench.judge.protocol import Judge, Mode, StoredReply
from rpo_bench.judge.questions import Game
from rpo_bench.spec.settings import Frozen

FOLDER, IDENTITY_FILE = "judgements", "judge.json"
REPLIES_FILE, GAMES_FILE, VERDICTS_FILE = "replies.jsonl", "games.jsonl", "verdicts.jsonl"

M = TypeVar("M", bound=BaseModel)


class StoredGame(Frozen):
    """A line of ``games.jsonl``: a game and the key of its reply."""

    question: str
    model: str
    baseline: str
    swapped: bool
    key: str | None  # None: the responses are equal, a tie without a call
    model_length: int
    baseline_length: int
    cut: bool = False  # whether a text was truncated

    @property
    def id(self) -> tuple[str, str, str, bool]:
        """The game's identity; a later line of the same game replaces an earlier one."""
        return self.question, self.model, self.baseline, self.swapped


def judge_folder(output: Path, judge: Judge) -> Path:
    """The folder of a judge's replies: ``<output>/judgements/<hash8>``."""
    return output / FOLDER / hash_json(judge.identity)[:8]


def judge_folders(output: Path) -> list[Path]:
    """The folders of all judges of an output, in order."""
    return sorted(file.parent for file in (output / FOLDER).glob(f"*/{IDENTITY_FILE}"))


def read_identity(folder: Path) -> dict[str, Any]:
    """Reads a judge's identity; raises UserError when ``judge.json`` is invalid."""
    file = folder / IDENTITY_FILE
    value = read_json(file)
    if not isinstance(value, dict) or value.get("mode") not in ("verdict", "logprobs"):
        raise UserError(f"{file} doesn't describe a judge: it needs 'mode', verdict or logprobs.")
    for name in ("backend", "model"):
        if not isinstance(value.get(name), str):
            raise UserError(f"{file} doesn't describe a judge: it needs '{name}', a text.")
    return value


def load_games(folder: Path) -> list[Game]:
    """All games of a judge with a reply; verdicts are parsed from the raw replies.

    Their order doesn't depend on the order of judging.

    Args:
        folder: One of ``judge_folders``.

    Raises:
        UserError: A file is invalid; the message gives the line.
    """
    mode: Mode = read_identity(folder)["mode"]
    replies = {one.key: one for one in _lines(folder / REPLIES_FILE, StoredReply)}
    games = {one.id: one for one in _lines(folder / GAMES_FILE, StoredGame)}
    return [
        _game(one, None if one.key is None else replies[one.key], mode)
        for one in sorted(games.values(), key=lambda game: game.id)
        if one.key is None or one.key in replies
    ]


def write_verdicts(folder: Path, games: Iterable[Game]) -> None:
    """Writes the parsed verdicts next to the replies, for inspection."""
    write_json_lines(folder / VERDICTS_FILE, [asdict(game) for game in games])


def _game(of: StoredGame, reply: StoredReply | None, mode: Mode) -> Game:
    answer: Answer | None = "tie"
    probability: float | None = 0.5 if mode == "logprobs" else None
    reason = None
    if reply is not None:
        reading = read_attempt(reply.attempts[-1], mode)
        answer, reason = reading.answer, reading.reason
        probability = None if answer is None else reading.probability
        if probability is not None and of.swapped:
            probability = 1 - probability
    won: Any = None
    if answer is not None:
        won = "tie" if answer == "tie" else "model" if (answer == "A") != of.swapped else "baseline"
    return Game(
        question=of.question,
        model=of.model,
        baseline=of.baseline,
        swapped=of.swapped,
        verdict=won,
        probability=probability,
        reason=reason,
        model_length=of.model_length,
        baseline_length=of.baseline_length,
        asked=of.key is not None,
    )


@dataclass
class Store:
    """An open judge folder with exclusive write access.

    Attributes:
        folder: The judge's folder.
        replies: The latest reply of each key.
        games: Games by id.
    """

    folder: Path
    replies: dict[str, StoredReply]
    games: dict[tuple[str, str, str, bool], StoredGame]
    _files: dict[str, TextIO] = field(default_factory=dict)
    _writing: Lock = field(default_factory=Lock)

    @property
    def paid(self) -> set[str]:
        """Keys of the calls with a reply, which aren't repeated."""
        return {key for key, reply in self.replies.items() if not reply.failed}

    def add_games(self, games: Iterable[StoredGame]) -> None:
        """Stores games."""
        new = [one for one in games if self.games.get(one.id) != one]
        self.games.update((one.id, one) for one in new)
        self._append(GAMES_FILE, new)

    def add_replies(self, replies: list[StoredReply]) -> None:
        """Stores finished calls from any thread; they are flushed when this returns."""
        with self._writing:
            self.replies.update((one.key, one) for one in replies)
            self._append(REPLIES_FILE, replies)

    def _append(self, name: str, lines: Iterable[BaseModel]) -> None:
        with explained(self.folder / name):
            self._files[name].write("".join(line.model_dump_json() + "\n" for line in lines))
            self._files[name].flush()


@contextmanager
def open_store(folder: Path, identity: dict[str, Any]) -> Iterator[Store]:
    """Opens a judge's folder for appending; an incomplete last line of a killed run is removed.

    Raises:
        UserError: Another run is writing there, or a file is invalid.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, TextIO] = {}
    try:
        for name in (REPLIES_FILE, GAMES_FILE):
            _check_file(folder / name)
            with explained(folder / name):
                files[name] = (folder / name).open("a", encoding="utf-8")
        _lock(files[REPLIES_FILE], folder)
        for name in files:
            _mend(folder / name)
        with atomic_file(folder / IDENTITY_FILE) as temporary:
            temporary.write_text(json.dumps(identity, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        replies = {one.key: one for one in _lines(folder / REPLIES_FILE, StoredReply)}
        games = {one.id: one for one in _lines(folder / GAMES_FILE, StoredGame)}
        yield Store(folder, replies, games, files)
    finally:
        for file in files.values():
            file.close()


def stored_replies(folder: Path) -> dict[str, StoredReply]:
    """The replies of a judge by key; may be empty."""
    return {one.key: one for one in _lines(folder / REPLIES_FILE, StoredReply)}


def _check_file(file: Path) -> None:
    """Refuses pipes, which would block, and links, which may point to other files."""
    if os.path.lexists(file) and (file.is_symlink() or not file.is_file()):
        raise UserError(f"{file} is not a regular file: remove it, or give another --output-path.")


def _lock(file: TextIO, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released when the file is closed
    except BlockingIOError:
        raise UserError(f"{folder}: another run is writing judgements there: wait until it ends.") from None


def _mend(file: Path) -> None:
    raw = read_log(file)
    whole = raw.rfind(b"\n") + 1
    if whole < len(raw):
        os.truncate(file, whole)


def _lines(file: Path, model: type[M]) -> list[M]:
    """All complete lines; an incomplete last line is ignored."""
    raw = read_log(file) if os.path.lexists(file) else b""
    found = []
    for number, line in enumerate(raw[: raw.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            if suspicious(line):
                parse_json(line)
            found.append(model.model_validate_json(line))
        except ValueError as error:  # includes pydantic's
            what = first_problem(error) if isinstance(error, ValidationError) else error
            raise UserError(f"{file}, line {number}: {what}; fix the line or remove it.") from error
    return found
