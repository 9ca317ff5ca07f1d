"""Builds the leaderboard page from result folders."""

from collections.abc import Sequence
from pathlib import Path

from rpo_bench.analysis.board import Board, Oracles, make_board
from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_file, atomic_folder, one_writer
from rpo_bench.results.store import Results, read_results
from rpo_bench.site.collector import collector_paused
from rpo_bench.site.data_files import DATA, data_files, unpacked
from rpo_bench.site.page import page

PAGE = "index.html"


class CheckFailed(UserError):  # noqa: N818 (it names what was found)
    """The page is out of date, or a result is broken."""

    def __init__(self, sentence: str, board: Board) -> None:
        super().__init__(sentence)
        self.board = board


def build_leaderboard(results_roots: Sequence[Path], out: Path, *, oracles: Oracles | None = None) -> Board:
    """Reads results, computes the board and writes ``out/index.html`` and its data in ``out/data``.

    Args:
        results_roots: Folders of results, or outputs of ``train-and-eval``.
        out: Where the page goes.
        oracles: (task, model) → oracle, instead of the tasks' own.

    Raises:
        UserError: There is no result to show, or the page can't be written.
    """
    with collector_paused():
        board = read_board(results_roots, oracles=oracles)
        with one_writer(out):
            _write(board, results_roots, out)
    return board


def _write(board: Board, results_roots: Sequence[Path], out: Path) -> None:
    with atomic_folder(out / DATA) as folder:
        for file in data_files(board):
            (folder / file.name).write_bytes(file.text.encode())
    with atomic_file(out / PAGE) as temporary:
        temporary.write_bytes(page(board, results_roots).encode())


def read_board(results_roots: Sequence[Path], *, oracles: Oracles | None = None) -> Board:
    """The board of some results, without the page; raises UserError if there is nothing to show."""
    results = read_results(results_roots)
    if not results.records:
        raise UserError(_nothing(results, results_roots))
    return make_board(results, oracles, results_roots)


def check_leaderboard(results_roots: Sequence[Path], out: Path, *, oracles: Oracles | None = None) -> Board:
    """Checks that ``out/index.html`` is the page of these results, and that none of them is broken.

    Raises:
        CheckFailed: The page is out of date or a result is broken. Nothing is written.
        UserError: There are no results.
    """
    board = read_board(results_roots, oracles=oracles)
    if board.results.broken:
        first = board.results.broken[0]
        more = f" (and {len(board.results.broken) - 1} more)" if len(board.results.broken) > 1 else ""
        raise CheckFailed(f"{first.folder} can't be used: {first.reason}{more}.", board)
    file = out / PAGE
    if not file.is_file():
        raise CheckFailed(f"{file} doesn't exist: build the page without --check.", board)
    if file.read_bytes() != page(board, results_roots).encode():
        raise CheckFailed(f"{file} is out of date: rebuild it without --check.", board)
    if (odd := _odd_data(board, out / DATA)) is not None:
        raise CheckFailed(f"{odd} doesn't match these results: rebuild the page without --check.", board)
    return board


def _odd_data(board: Board, folder: Path) -> Path | None:
    """The first data file that differs, is missing or belongs to no row."""
    names = set()
    for one in data_files(board):
        names.add(one.name)
        file = folder / one.name
        if not file.is_file() or not _says(file.read_bytes(), one.text):
            return file
    return next((file for file in sorted(folder.iterdir()) if file.name not in names), None)


def _says(there: bytes, text: str) -> bool:
    """Whether a data file holds this text, or the same value compressed differently."""
    return there == text.encode() or unpacked(there.decode(errors="replace")) == unpacked(text)


def _nothing(results: Results, roots: Sequence[Path]) -> str:
    where = ", ".join(str(root) for root in roots)
    if not results.broken:
        return f"{where}: there are no results here; `rpo-bench train-and-eval` creates them."
    first = results.broken[0]
    n = len(results.broken)
    return f"{where}: none of {n} results can be used; the first, {first.folder}: {first.reason}."
