"""``rpo-bench judge run`` and ``judge parse``: stored responses compared by a judge."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rpo_bench.cli.console import err, out, print_facts, print_table
from rpo_bench.cli.judge_flags import CostFlags, JudgeFlags, WhatFlags
from rpo_bench.cli.options import with_flags
from rpo_bench.cli.run_flags import TrustFlags
from rpo_bench.errors import UserError

if TYPE_CHECKING:
    from rpo_bench.judge.games import Game
    from rpo_bench.judge.protocol import Judge, Pair
    from rpo_bench.judge.running import Account, Budget, Plan


@with_flags
def run(what: WhatFlags, who: JudgeFlags, cost: CostFlags, trust: TrustFlags) -> None:
    """Judge stored responses against a baseline's, each pair in both orders.

    Every reply is stored as it comes: stopped at any moment, the same command goes on, and what has a reply
    is never asked again.
    """
    from rpo_bench.judge.running import plan_of, run_judge
    from rpo_bench.judge.storage import judge_folder, load_games, open_store, stored_replies, write_verdicts

    budget = cost.budget()
    pairs = _pairs(what)
    judge = who.judge_of(pairs, trust, what.include_path)
    plan = plan_of(pairs, who.max_chars)
    folder = judge_folder(what.output_path or output_of(what.results[0]), judge)
    if cost.dry_run:
        paid = {key for key, reply in stored_replies(folder).items() if not reply.failed}
        print_plan(judge, plan, paid, budget, cost)
        return
    with open_store(folder, judge.identity) as store, judging_bar() as told:
        account = run_judge(judge, plan, store, budget, told)
    games = load_games(folder)
    write_verdicts(folder, games)
    print_account(account, folder, cost)
    if account.failed or account.stopped:
        raise typer.Exit(1)


def parse(
    results: Annotated[Path, typer.Argument(help="The output of a run that holds judgements.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read the stored replies anew, and rewrite their verdicts; no judge is called."""
    from rpo_bench.judge.storage import judge_folders, load_games, read_identity, write_verdicts

    folders = judge_folders(output_of(results))
    if not folders:
        raise UserError(f"{results}: there are no judgements here; make them by 'rpo-bench judge run'.")
    rows = []
    for folder in folders:
        games = load_games(folder)
        write_verdicts(folder, games)
        identity = read_identity(folder)
        rows.append((folder.name, f"{identity['backend']}:{identity['model']}", *_counts(games)))
    names = ("Folder", "Judge", "Games", "Model", "Baseline", "Tie", "Unscored")
    if as_json:
        typer.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
    else:
        print_table("", names, rows)


def _counts(games: "list[Game]") -> tuple[int, ...]:
    verdicts = Counter(game.verdict for game in games)
    return len(games), verdicts["model"], verdicts["baseline"], verdicts["tie"], verdicts[None]


def _pairs(what: WhatFlags) -> "list[Pair]":
    from rpo_bench.judge.pairing import Selection, pairs_of
    from rpo_bench.parsing import split_list
    from rpo_bench.results.store import read_results

    found = read_results(what.results)
    for broken in found.broken:
        err().print(f"Skipped: {broken.folder}: {broken.reason}.", markup=False, soft_wrap=True)
    selection = Selection(
        against=what.against,
        methods=tuple(split_list(what.methods or "")),
        samples=what.samples,
        limit=what.limit,
        include_path=what.include_path,
    )
    return pairs_of(found.records, selection)


def output_of(root: Path) -> Path:
    """The folder that holds ``judgements``: a run's output, or published results with some of their own."""
    from rpo_bench.judge.storage import FOLDER

    published = (root / FOLDER).is_dir()
    return root.resolve().parent if root.resolve().name == "results" and not published else root


@contextmanager
def judging_bar() -> Iterator[Callable[[int, int], None]]:
    """How far the judge is, on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = err()
    columns = (TextColumn("judging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("judging", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def print_plan(judge: "Judge", plan: "Plan", paid: set[str], budget: "Budget", cost: CostFlags) -> None:
    """What a run would ask, and what that would cost."""
    from rpo_bench.judge.running import estimate

    calls = plan.open(paid)
    tokens, price = estimate(judge, calls, budget)
    facts: dict[str, Any] = {
        "games": len(plan.games),
        "identical": sum(game.key is None for game in plan.games),
        "stored": len(plan.calls) - len(calls),
        "calls": len(calls),
        "tokens_in": tokens[0],
        "tokens_out": tokens[1],
        "cost": price if cost.priced else None,
    }
    if cost.as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    told = {
        "games": f"{len(plan.games):,}, of which {facts['identical']:,} are between identical responses",
        "calls to make": f"{len(calls):,} ({facts['stored']:,} have a reply already)",
        "tokens": f"at most about {tokens[0]:,} in and {tokens[1]:,} out",
    }
    if cost.priced:
        told["cost"] = f"at most about {price:,.4g}; twice that if every reply had to be asked for again"
    print_facts(told)


def print_account(account: "Account", folder: Path, cost: CostFlags) -> None:
    """What became of a run's calls."""
    facts = {name: value for name, value in vars(account).items() if not isinstance(value, Counter)}
    if cost.as_json:
        why = {"unscored": dict(account.unscored), "failed": dict(account.failed)}
        typer.echo(json.dumps({**facts, **why, "folder": str(folder)}, indent=2))
        return
    unscored, failed = account.unscored.total(), account.failed.total()
    told = {
        "calls": f"{account.made:,}: {account.scored:,} scored, {unscored:,} unscored, {failed:,} failed",
        "stored before": f"{account.stored:,}",
        "tokens": f"{account.tokens[0]:,} in, {account.tokens[1]:,} out"
        + (f" ({account.estimated:,} replies without usage, estimated)" if account.estimated else ""),
        "time": f"{account.seconds:.1f} s, {account.latency:.2f} s a call; {account.retries:,} requests and "
        f"{account.second_tries:,} replies were tried again",
        "folder": str(folder),
    }
    if cost.priced:
        told["cost"] = f"{account.cost:,.4g}"
    print_facts(told)
    for what, reasons in (("unscored", account.unscored), ("failed", account.failed)):
        for reason, n in reasons.most_common():
            out().print(f"{n:,} {what}: {reason}", markup=False, soft_wrap=True)
    if account.stopped:
        err().print("Stopped by --judge-max-cost; the same command goes on from here.", markup=False)
    elif failed:
        err().print("The same command tries the failed calls again.", markup=False)
