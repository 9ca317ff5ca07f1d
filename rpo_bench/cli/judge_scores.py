"""``rpo-bench judge scores`` and ``judge ranking``: win rates and rankings from stored judgements."""

import shlex
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rpo_bench.cli.console import out, print_json, print_table, say
from rpo_bench.cli.judge_asking import output_of, reproduced_at
from rpo_bench.cli.stored import read_judges, read_stored, read_whole
from rpo_bench.errors import UserError

if TYPE_CHECKING:
    from rpo_bench.judge.questions import Question
    from rpo_bench.judge.ranking import Rankings
    from rpo_bench.results.schema import MetricValue
    from rpo_bench.results.store import StoredRecord
    from rpo_bench.stats.interval import Interval

Results = Annotated[Path, typer.Argument(help="The output of a run with judgements.")]
Which = Annotated[
    str | None,
    typer.Option(
        "--judge",
        "--judge-hash",
        help="Which of several judges: a name or hash as printed, or the value of run's --judge.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def scores(
    results: Results,
    which: Which = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Write every judge's win rates into the records; the board shows those of --judge.",
        ),
    ] = False,
    matrix: Annotated[bool, typer.Option("--matrix", help="Also print win rates of every pair.")] = False,
    as_json: Json = False,
) -> None:
    """Compute win rates, raw and at equal length, ratings and agreement of judges; no judge is called."""
    from rpo_bench.judge.agreement import win_matrix
    from rpo_bench.judge.scores import metrics_of

    records = read_stored(results).records
    judges = _judges(results, which)
    if write and which is not None and len(judges) > 1:
        known = ", ".join(f"--judge {folder}" for folder in judges)
        raise UserError(f"--judge {which}: several judges here match; choose one: {known}.")
    entries: dict[str, Any] = {}
    for folder, (name, questions) in judges.items():
        found = metrics_of(records, questions, name)
        entries[folder] = {"judge": name, "rows": _rows(records, found)}
        if matrix:
            entries[folder]["matrix"] = win_matrix(questions)
        if write and found:
            _write(results, folder, name, found, which is not None)
    agreement = _agreement(judges)
    if as_json:
        print_json({"judges": entries, "agreement": agreement})
        return
    for folder, entry in entries.items():
        _print_rows(f"{entry['judge']} (--judge {folder})", entry)
    if agreement:
        columns = ("Judge", "Judge", "Questions", "Same", "Kappa", "Without ties")
        print_table("Agreement", columns, [tuple(_text(v) for v in row.values()) for row in agreement])


def _write(
    root: Path, folder: str, name: str, found: "dict[str, dict[str, MetricValue]]", first: bool
) -> None:
    """Writes a judge's win rates into the records, and reports where."""
    from rpo_bench.judge.commands import read_commands
    from rpo_bench.judge.naming import short_name
    from rpo_bench.judge.storage import FOLDER
    from rpo_bench.judge.writing import board_judge, write_metrics

    records, place = read_stored(root).records, reproduced_at(output_of(root))
    how: dict[str, Any] | None = None
    if earlier := read_commands(output_of(root) / FOLDER / folder):
        which = ["--judge", name.rpartition(" ")[0]] if first else []
        last = shlex.join(["rpo-bench", "judge", "scores", place, *which, "--write"])
        how = {"flags": {"--output-path": place}, "commands": [*earlier, last]}
    changed = write_metrics(records, found, name, first=first, how=how)
    board = board_judge(read_stored(root).records)
    shown = "as win_rate …, which the board shows" if board == name else f"as win_rate@{short_name(name)} …"
    say(f"{name}: {changed} of {len(records)} records changed, {shown}.")
    if board != name:
        say(
            f"The board shows those of {board}; 'judge scores {root} --judge {folder} --write' replaces them "
            "by these."
        )


def ranking(results: Results, which: Which = None, as_json: Json = False) -> None:
    """Rank methods by a judge and by gold reward, on the same responses."""
    from rpo_bench.judge.default_pairs import stored_rewards
    from rpo_bench.judge.ranking import rankings

    records = read_whole(results)
    entries: dict[str, Any] = {}
    unranked: list[str] = []
    for folder, (name, questions) in _judges(results, which).items():
        found = rankings(records, questions, stored_rewards(records, questions))
        if not found:
            unranked.append(name)
            continue
        entries[folder] = {"judge": name, "rankings": [_as_json(one) for one in found]}
        if not as_json:
            for one in found:
                _print_ranking(name, one)
    few = "it judged fewer than two methods against the reference policy, or there are no gold rewards"
    if not entries:
        raise UserError(f"{results}: {', '.join(unranked)}: {few}.")
    for name in unranked:
        say(f"Skipped: {name}: {few}.")
    if as_json:
        print_json(entries)


def _judges(root: Path, which: str | None) -> "dict[str, tuple[str, list[Question]]]":
    """Folder → the judge's name and its questions."""
    from rpo_bench.judge.naming import chosen, judge_name
    from rpo_bench.judge.questions import questions_of

    judges = read_judges(root)
    names = {folder: judge_name(identity) for folder, (identity, _) in judges.items()}
    return {one: (names[one], questions_of(judges[one][1])) for one in chosen(names, which)}


def _rows(records: "tuple[StoredRecord, ...]", found: Any) -> list[dict[str, Any]]:
    from rpo_bench.judge.pairing import label_of

    return [
        {
            "checkpoint": label_of(stored),
            **{
                name: value.interval.model_dump(mode="json")
                for name, value in found[stored.record.cell].items()
            },
        }
        for stored in records
        if stored.record.cell in found
    ]


def _print_rows(title: str, entry: dict[str, Any]) -> None:
    from rpo_bench.judge.scores import NAMES

    columns = ("Checkpoint", "Win rate", "At equal length", "Against SFT", "At equal length", "Rating")
    rows = [(row["checkpoint"], *(_interval(row.get(name)) for name in NAMES)) for row in entry["rows"]]
    print_table(title, columns, rows)
    if "matrix" in entry:
        names = sorted(entry["matrix"])
        cells = [(name, *(_text(entry["matrix"][name].get(other)) for other in names)) for name in names]
        print_table("Win rate of the row against the column", ("", *names), cells)


def _agreement(judges: "dict[str, tuple[str, list[Question]]]") -> list[dict[str, Any]]:
    from rpo_bench.judge.agreement import judges_agree

    found = []
    for (one, first), (other, second) in combinations(judges.values(), 2):
        agree = judges_agree(first, second)
        if agree.questions:
            found.append({"one": one, "other": other, **vars(agree)})
    return found


def _print_ranking(name: str, found: "Rankings") -> None:
    columns = ("Method", "Win rate by the judge", "Rank", "Gold reward", "Rank")
    rows = [
        (row.name, _shown(row.win_rate), _rank(row.judge_rank), _shown(row.reward), _rank(row.gold_rank))
        for row in found.rows
    ]
    print_table(f"{found.title}: {name}", columns, rows)
    out().print(f"Spearman's rank correlation: {_shown(found.correlation)}")


def _as_json(found: "Rankings") -> dict[str, Any]:
    rows = [
        {
            "name": row.name,
            "win_rate": row.win_rate.model_dump(mode="json"),
            "reward": row.reward.model_dump(mode="json"),
            "judge_rank": row.judge_rank,
            "gold_rank": row.gold_rank,
        }
        for row in found.rows
    ]
    return {"title": found.title, "correlation": found.correlation.model_dump(mode="json"), "rows": rows}


def _rank(rank: tuple[int, int, int]) -> str:
    return f"{rank[0]} [{rank[1]}–{rank[2]}]"


def _shown(interval: "Interval") -> str:
    return _interval(interval.model_dump())


def _interval(value: dict[str, Any] | None) -> str:
    if value is None or value["point"] is None:
        return "–"
    point = f"{value['point']:.3f}"
    return point if value["low"] is None else f"{point} [{value['low']:.3f}, {value['high']:.3f}]"


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
