"""``rpo-bench judge run`` and ``judge parse``: a judge compares stored responses."""

import shlex
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.console import print_json, print_table
from rpo_bench.cli.judge_asking import ask, output_of, print_account, reproduced_at
from rpo_bench.cli.judge_flags import CostFlags, JudgeFlags, WhatFlags
from rpo_bench.cli.options import given_flags, with_flags
from rpo_bench.cli.run_flags import TrustFlags
from rpo_bench.cli.stored import read_judged, read_judges

if TYPE_CHECKING:
    from rpo_bench.judge.protocol import Pair
    from rpo_bench.judge.questions import Game


@with_flags
def run(what: WhatFlags, who: JudgeFlags, cost: CostFlags, trust: TrustFlags) -> None:
    """Judge stored responses against a baseline's, each pair in both orders.

    Every reply is stored as it arrives. After an interruption the same command continues, and no call is
    made twice.
    """
    from rpo_bench.judge.commands import note_command
    from rpo_bench.judge.storage import write_verdicts

    pairs = _pairs(what, who)
    judge = who.judge_of(pairs, trust, what.include_path)
    result = ask(judge, pairs, what.output_path or output_of(what.results[0]), cost)
    if result is None:
        return
    write_verdicts(result.folder, result.games)
    note_command(result.folder, _command(what, who, trust))
    print_account(result, cost)
    if result.account.failed or result.account.stopped:
        raise typer.Exit(1)


def parse(
    results: Annotated[Path, typer.Argument(help="The output of a run with judgements.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Parse the stored replies again and rewrite their verdicts; no judge is called."""
    from rpo_bench.judge.storage import FOLDER, write_verdicts

    rows = []
    for name, (identity, games) in read_judges(results).items():
        write_verdicts(output_of(results) / FOLDER / name, games)
        rows.append((name, f"{identity['backend']}:{identity['model']}", *_counts(games)))
    names = ("Folder", "Judge", "Games", "Model", "Baseline", "Tie", "Unscored")
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        print_table("", names, rows)


def _counts(games: "list[Game]") -> tuple[int, ...]:
    verdicts = Counter(game.verdict for game in games)
    return len(games), verdicts["model"], verdicts["baseline"], verdicts["tie"], verdicts[None]


def _pairs(what: WhatFlags, who: JudgeFlags) -> "list[Pair]":
    from rpo_bench.judge.pairing import Selection, pairs_of
    from rpo_bench.spec.parsing import split_list

    selection = Selection(
        against=what.against,
        methods=tuple(split_list(what.methods or "")),
        samples=what.samples,
        limit=what.limit,
        include_path=what.include_path,
    )
    return pairs_of(read_judged(what.results, who, what.include_path), selection)


def _command(what: WhatFlags, who: JudgeFlags, trust: TrustFlags) -> str:
    """The command that repeats this judging on a reproduced run."""
    from rpo_bench.remote.urls import Address

    who = replace(who, base_url=None if who.base_url is None else Address(who.base_url))
    flags = given_flags(replace(what, output_path=None), who, trust)
    return shlex.join(["rpo-bench", "judge", "run", reproduced_at(output_of(what.results[0])), *flags])
