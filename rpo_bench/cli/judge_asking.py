"""Asking a judge from the command line: what it would take, how far it is, what became of its calls."""

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
    """What came of asking a judge.

    Attributes:
        name: The judge's.
        folder: Where its replies are.
        account: What became of the calls.
        plan: What was asked.
        replies: All that are stored, by key.
        games: All of the judge's.
        budget: What tokens cost.
    """

    name: str
    folder: Path
    account: "Account"
    plan: "Plan"
    replies: dict[str, "StoredReply"]
    games: "list[Game]"
    budget: "Budget"


def ask(judge: "Judge", pairs: "Sequence[Pair]", output: Path, cost: CostFlags) -> JudgeReplies | None:
    """Asks a judge what it has no reply to yet, or says what that would take: then it returns None."""
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
    with open_store(folder, judge.identity) as store, _judging_bar() as told:
        account = run_judge(judge, plan, store, budget, told)
        replies = store.replies
    name = judge_name(judge.identity)
    return JudgeReplies(name, folder, account, plan, replies, load_games(folder), budget)


def output_of(root: Path) -> Path:
    """The folder that holds ``judgements``: a run's output, or published results with some of their own."""
    from rpo_bench.judge.storage import FOLDER

    published = (root / FOLDER).is_dir()
    return root.resolve().parent if root.resolve().name == "results" and not published else root


def made_again(output: Path) -> str:
    """Where a record's command makes again what lies in an output: below ``runs``, by its name."""
    return f"runs/{output.resolve().name}"


@contextmanager
def _judging_bar() -> Iterator[Callable[[int, int], None]]:
    """How far the judge is, on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = err()
    columns = (TextColumn("judging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("judging", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _print_plan(judge: "Judge", plan: "Plan", paid: set[str], budget: "Budget", cost: CostFlags) -> None:
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
        print_json(facts)
        return
    told = {
        "games": f"{len(plan.games):,}, of which {facts['identical']:,} are between identical responses",
        "calls to make": f"{len(calls):,} ({facts['stored']:,} have a reply already)",
        "tokens": f"at most about {tokens[0]:,} in and {tokens[1]:,} out",
    }
    if cost.priced:
        told["cost"] = f"at most about {price:,.4g}; twice that if every reply had to be asked for again"
    print_facts(told)


def print_account(asked: JudgeReplies, cost: CostFlags) -> None:
    """What became of a run's calls."""
    from rpo_bench.judge.protocol import parameters_sent

    account, folder = asked.account, asked.folder
    facts = {name: value for name, value in vars(account).items() if not isinstance(value, Counter)}
    if cost.as_json:
        why = {"unscored": dict(account.unscored), "failed": dict(account.failed)}
        print_json({**facts, **why, "judge": asked.name, "folder": str(folder)})
        return
    unscored, failed = account.unscored.total(), account.failed.total()
    told = {
        "judge": asked.name,
        "calls": f"{account.made:,}: {account.scored:,} scored, {unscored:,} unscored, {failed:,} failed",
        "stored before": f"{account.stored:,}",
        "tokens": f"{account.tokens[0]:,} in, {account.tokens[1]:,} out"
        + (f" ({account.estimated:,} replies without usage, estimated)" if account.estimated else ""),
        "time": f"{account.seconds:.1f} s, {account.latency:.2f} s a call; {account.retries:,} requests and "
        f"{account.second_tries:,} replies were tried again",
        "folder": str(folder),
    }
    if sent := parameters_sent(asked.replies.values()):
        forms = (", ".join(f"{k}={v}" for k, v in one.items()) or "no parameters" for one in sent)
        told["sent"] = "; ".join(forms)
    if cost.priced:
        told["cost"] = f"{account.cost:,.4g}"
    print_facts(told)
    for what, reasons in (("unscored", account.unscored), ("failed", account.failed)):
        for reason, n in reasons.most_common():
            out().print(f"{n:,} {what}: {reason}", soft_wrap=True)
    if account.stopped:
        say("Stopped by --judge-max-cost; the same command goes on from here.")
    elif failed:
        say("The same command tries the failed calls again.")
