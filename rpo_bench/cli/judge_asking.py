"""Calls a judge from the command line: the estimate, the progress and a summary of the calls."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpo_bench.cli.console import err, out, print_facts, print_json, say
from rpo_bench.cli.judge_flags import CostFlags

if TYPE_CHECKING:
    from rpo_bench.judge.account import Account
    from rpo_bench.judge.protocol import Judge, Pair, StoredReply
    from rpo_bench.judge.questions import Game
    from rpo_bench.judge.running import Budget, Plan


@dataclass(frozen=True)
class JudgeReplies:
    """The replies of a judge.

    Attributes:
        name: The judge's name.
        folder: The folder of its replies.
        account: Summary of the calls.
        plan: The planned games.
        replies: All stored replies, by key.
        games: All games of the judge.
        budget: Prices of tokens.
    """

    name: str
    folder: Path
    account: "Account"
    plan: "Plan"
    replies: dict[str, "StoredReply"]
    games: "list[Game]"
    budget: "Budget"


def ask(judge: "Judge", pairs: "Sequence[Pair]", output: Path, cost: CostFlags) -> JudgeReplies | None:
    """Makes the judge's missing calls; in a dry run prints the estimate and returns None."""
    from rpo_bench.judge.naming import judge_name
    from rpo_bench.judge.running import plan_of, run_judge
    from rpo_bench.judge.storage import judge_folder, load_games, open_store, stored_replies

    budget = cost.budget()
    plan = plan_of(pairs, judge.max_chars)
    folder = judge_folder(output, judge)
    if cost.dry_run:
        paid = {key for key, reply in stored_replies(folder).items() if not reply.failed}
        _print_plan(judge, plan, paid, budget, cost)
        return None
    with open_store(folder, judge.identity) as store, _judging_bar() as progress:
        account = run_judge(judge, plan, store, budget, progress)
        replies = store.replies
    name = judge_name(judge.identity)
    return JudgeReplies(name, folder, account, plan, replies, load_games(folder), budget)


def output_of(root: Path) -> Path:
    """The folder that holds ``judgements``: a run's output, or published results with their own."""
    from rpo_bench.judge.storage import FOLDER

    published = (root / FOLDER).is_dir()
    return root.resolve().parent if root.resolve().name == "results" and not published else root


def reproduced_at(output: Path) -> str:
    """The folder in which a record's command reproduces an output: its name below ``runs``."""
    return f"runs/{output.resolve().name}"


@contextmanager
def _judging_bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar of the judge, on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = err()
    columns = (TextColumn("judging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("judging", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _print_plan(judge: "Judge", plan: "Plan", paid: set[str], budget: "Budget", cost: CostFlags) -> None:
    """Prints the calls that a run would make, and their cost."""
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
        print_json(facts)
        return
    shown = {
        "games": f"{len(plan.games):,}, of which {facts['identical']:,} are between identical responses",
        "calls to make": f"{len(calls):,} ({facts['stored']:,} have a reply already)",
        "tokens": f"at most about {tokens[0]:,} in and {tokens[1]:,} out",
    }
    if cost.priced:
        shown["cost"] = f"at most about {price:,.4g}; twice that if every reply needed a retry"
    print_facts(shown)


def print_account(result: JudgeReplies, cost: CostFlags) -> None:
    """Prints a summary of a run's calls."""
    from rpo_bench.judge.protocol import parameters_sent

    account, folder = result.account, result.folder
    facts = {name: value for name, value in vars(account).items() if not isinstance(value, Counter)}
    if cost.as_json:
        why = {"unscored": dict(account.unscored), "failed": dict(account.failed)}
        print_json({**facts, **why, "judge": result.name, "folder": str(folder)})
        return
    unscored, failed = account.unscored.total(), account.failed.total()
    shown = {
        "judge": result.name,
        "calls": f"{account.made:,}: {account.scored:,} scored, {unscored:,} unscored, {failed:,} failed",
        "stored before": f"{account.stored:,}",
        "tokens": f"{account.tokens[0]:,} in, {account.tokens[1]:,} out"
        + (f" ({account.estimated:,} replies without usage, estimated)" if account.estimated else ""),
        "time": f"{account.seconds:.1f} s, {account.latency:.2f} s a call; {account.retries:,} requests and "
        f"{account.second_tries:,} replies were retried",
        "folder": str(folder),
    }
    if sent := parameters_sent(result.replies.values()):
        forms = (", ".join(f"{k}={v}" for k, v in one.items()) or "no parameters" for one in sent)
        shown["sent"] = "; ".join(forms)
    if cost.priced:
        shown["cost"] = f"{account.cost:,.4g}"
    print_facts(shown)
    for what, reasons in (("unscored", account.unscored), ("failed", account.failed)):
        for reason, n in reasons.most_common():
            out().print(f"{n:,} {what}: {reason}", soft_wrap=True)
    if account.stopped:
        say("Stopped by --judge-max-cost; run the same command again to continue.")
    elif failed:
        say("Run the same command again to retry the failed calls.")
