"""What the harness adds to a judge's own time, and what a kill in the middle of judging costs.

    python benchmarks/judge_throughput.py

First: judgements per second against a local server with a fixed latency, as a share of the ideal
(concurrency / latency). Second: 2,000 judgements at concurrency 16, killed in the middle and run again: the
verdicts must be those of a run that wasn't killed, and no call that was stored may be repeated.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rpo_bench.data.row import Prompt
from rpo_bench.judge.account import Account
from rpo_bench.judge.backends.openai import OpenAIJudge
from rpo_bench.judge.prompts import load_template
from rpo_bench.judge.protocol import Pair
from rpo_bench.judge.running import plan_of, run_judge
from rpo_bench.judge.storage import load_games, open_store


@contextmanager
def serving(latency: float) -> Iterator[str]:
    """The server's address."""
    command = [sys.executable, str(Path(__file__).with_name("judge_server.py")), str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


def pairs(questions: int) -> list[Pair]:
    """Different pairs of responses of some 300 characters."""
    filler = "It depends on what is meant by the question, but on the whole I would say so. " * 4
    return [
        Pair(
            f"p{i}/0", "t", Prompt(prompt_id=f"p{i}", text=f"Question {i}?"), "m", "b", f"{filler}{i}", filler
        )
        for i in range(questions)
    ]


def judge_all(folder: Path, address: str, questions: int, concurrency: int) -> Account:
    """Both orders of every question."""
    judge = OpenAIJudge("m", load_template("verdict"), base_url=f"{address}/v1", concurrency=concurrency)
    with open_store(folder, judge.identity) as store:
        return run_judge(judge, plan_of(pairs(questions)), store)


def throughput(concurrency: int, latency: float, questions: int) -> float:
    """The share of the ideal throughput that is reached; the first calls, which connect, included."""
    with serving(latency) as address, tempfile.TemporaryDirectory() as folder:
        judge_all(Path(folder) / "warm", address, 1, concurrency)  # imports are no part of a call
        account = judge_all(Path(folder) / "cold", address, questions, concurrency)
    ideal = account.made * latency / concurrency
    print(
        f"concurrency {concurrency}, latency {1000 * latency:.0f} ms, {account.made:,} judgements: "
        f"{account.seconds:.2f} s, ideal {ideal:.2f} s; throughput {ideal / account.seconds:.3f} of the ideal"
    )
    return ideal / account.seconds


def kill_and_rerun(questions: int, concurrency: int = 16, latency: float = 0.05) -> bool:
    """Whether a killed run that is run again ends as one that wasn't killed, and repeats nothing stored."""
    with serving(latency) as address, tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        judge_all(whole, address, questions, concurrency)
        before, _ = asked(address)
        command = [
            sys.executable,
            __file__,
            "--child",
            str(killed),
            address,
            str(questions),
            str(concurrency),
        ]
        env = {**os.environ, "OPENAI_API_KEY": "none"}
        run = subprocess.Popen(command, env=env)
        while asked(address)[0] - before < questions:  # half of them
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.wait()
        stored = (killed / "replies.jsonl").read_bytes().count(b"\n")
        middle, _ = asked(address)
        subprocess.run(command, env=env, check=True)
        again = asked(address)[0] - middle
        same = sorted(map(str, load_games(whole))) == sorted(map(str, load_games(killed)))
    lost = middle - before - stored
    repeated = again - (2 * questions - stored)
    print(
        f"{2 * questions:,} judgements at concurrency {concurrency}: killed with {stored:,} stored and "
        f"{lost} in flight; the second run made {again:,} calls, {repeated} of them stored before; "
        f"verdicts {'equal' if same else 'DIFFER'}"
    )
    return same and repeated == 0 and 0 <= lost <= concurrency


def asked(address: str) -> tuple[int, int]:
    """Judgements that the server was asked for, and different ones that came more than once."""
    with urllib.request.urlopen(f"{address}/count") as answer:
        total, twice = json.load(answer)
    return total, twice


def main() -> None:
    """Measures both; exit code 1 when one isn't as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds")
    parser.add_argument("--questions", type=int, default=640, help="two calls each")
    flags = parser.parse_args()
    if flags.child:
        folder, address, questions, concurrency = flags.child
        judge_all(Path(folder), address, int(questions), int(concurrency))
        return
    share = throughput(flags.concurrency, flags.latency, flags.questions)
    whole = kill_and_rerun(1000)
    sys.exit(0 if share >= 0.9 and whole else 1)


if __name__ == "__main__":
    main()
