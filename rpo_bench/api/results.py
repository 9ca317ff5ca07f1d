"""Reading results: data frames, comparisons and the leaderboard."""

from pathlib import Path
from typing import TYPE_CHECKING

from rpo_bench.analysis.build import compare as compare_stored
from rpo_bench.analysis.render import comparisons_frame
from rpo_bench.analysis.report import Report
from rpo_bench.analysis.section import Options
from rpo_bench.api.place import Paths, paths_of
from rpo_bench.api.warning import warn
from rpo_bench.errors import UserError
from rpo_bench.results import baselines
from rpo_bench.results.frame import results_frame
from rpo_bench.results.store import read_results
from rpo_bench.site.build import PAGE, build_leaderboard
from rpo_bench.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from rpo_bench.analysis.board import Board


def compare(
    things: Paths, *more: str | Path, results: Paths | None = None, options: Options | None = None
) -> Report:
    """Tests differences between stored results at equal KL and at equal strength.

    Args:
        things: a folder of results, or a method in ``results`` (``rpo``, ``rpo@0.5``), or several.
        more: further ones. The first is compared with each of these. A single one is compared with the stored
            baselines. A folder of several methods is compared by the declared family.
        results: where methods are looked up; the stored baselines by default.
        options: metrics, KL budgets, level and so on.

    Returns:
        The report; ``differences`` converts it to a table.

    Raises:
        UserError: results are missing or incomparable; the message names the difference.
    """
    named = [str(path) for path in (*paths_of(things), *more)]
    stored = baselines.stored_baselines()
    roots = [] if stored is None else [stored]
    return compare_stored(named, roots if results is None else paths_of(results), options or Options())


def differences(report: Report) -> "pd.DataFrame":
    """A comparison as a table: methods, metric, difference, interval and verdict."""
    return comparisons_frame(report)


def load_results(path: Paths = "results") -> "pd.DataFrame":
    """Stored results as a table, one row per checkpoint.

    Args:
        path: folders of results, or outputs of ``train_and_eval``.

    Returns:
        Columns: task, model, architecture, method, strength_name, strength, seed, learning_rate, status;
        for every metric its point, ``<metric>_low`` and ``<metric>_high``; ``cost_*``; cell, command and
        folder. Rows are sorted by these columns. ``attrs["broken"]`` lists unusable folders with the reason;
        a warning gives their number.

    Raises:
        UserError: there are no results.
    """
    roots = paths_of(path)
    found = read_results(list(roots))
    if not found.records:
        why = "".join(f"; {one.folder}: {one.reason}" for one in found.broken[:1])
        raise UserError(f"{', '.join(map(str, roots))}: there are no usable results here{why}.")
    if found.broken:
        first = found.broken[0]
        unusable = counted(len(found.broken), "unusable result")
        warn(f"{unusable} left out; the first, {first.folder}: {first.reason}.", 2)
    return results_frame(found)


def leaderboard(results: Paths = "results", output_path: str | Path | None = None) -> "tuple[Board, Path]":
    """Builds the page from stored results; nothing is trained or measured.

    Args:
        results: folders of results, or outputs of ``train_and_eval``.
        output_path: folder of the page; ``leaderboard`` next to the results by default.

    Returns:
        The content of the page, and its file.

    Raises:
        UserError: there is no result to show, or the page can't be written.
    """
    roots = paths_of(results)
    target = default_page_folder(roots[0]) if output_path is None else Path(output_path)
    return build_leaderboard(roots, target), target / PAGE


def default_page_folder(root: Path) -> Path:
    """The folder in which ``train_and_eval`` puts the page of these results."""
    holds_results = (root / "results").is_dir()
    return (root if holds_results else root.parent) / "leaderboard"
