"""Replies survive a crash: a torn line is no line, and what is stored is never asked again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from judge_servers import longer, serving, verdict
from judge_worlds import pair

from rpo_bench.errors import UserError
from rpo_bench.judge.backends.functions import PythonJudge
from rpo_bench.judge.running import plan_of, run_judge
from rpo_bench.judge.storage import load_games, open_store

ASK = """
import sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from judge_worlds import pair
from rpo_bench.judge.backends.openai import OpenAIJudge
from rpo_bench.judge.prompts import load_template
from rpo_bench.judge.running import plan_of, run_judge
from rpo_bench.judge.storage import open_store
judge = OpenAIJudge("m", load_template("verdict"), base_url={url!r}, concurrency=16)
plan = plan_of([pair(i, f"answer {{i}}" + "!" * (i % 3), f"answer {{i}} no") for i in range({questions})])
with open_store(Path({folder!r}), judge.identity) as store:
    run_judge(judge, plan, store)
"""


def prefers_first(prompt: str, first: str, second: str) -> str:
    return "A"


JUDGE = PythonJudge(prefers_first, "x.py:prefers_first", "0" * 64)


def judge_all(folder: Path, questions: int):
    with open_store(folder, JUDGE.identity) as store:
        return run_judge(JUDGE, plan_of([pair(i, f"a{i}", f"b{i}") for i in range(questions)]), store)


def test_a_second_run_asks_only_what_is_new(tmp_path):
    assert judge_all(tmp_path, 3).made == 6
    again = judge_all(tmp_path, 5)
    assert (again.stored, again.made) == (6, 4)
    assert len(load_games(tmp_path)) == 10


def test_a_torn_line_is_asked_again_and_a_damaged_one_is_named(tmp_path):
    judge_all(tmp_path, 3)
    file = tmp_path / "replies.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    assert len(load_games(tmp_path)) == 5
    assert judge_all(tmp_path, 3).made == 1
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(["nonsense\n", *lines[1:]]))
    with pytest.raises(UserError, match=r"replies.jsonl, line 1"):
        load_games(tmp_path)


def test_identical_responses_tie_without_a_call(tmp_path):
    with open_store(tmp_path, JUDGE.identity) as store:
        account = run_judge(JUDGE, plan_of([pair(0, "same", "same")]), store)
    assert account.made == 0
    assert [(game.verdict, game.asked) for game in load_games(tmp_path)] == [("tie", False)] * 2


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    with (
        open_store(tmp_path, JUDGE.identity),
        pytest.raises(UserError, match="another run"),
        open_store(tmp_path, JUDGE.identity),
    ):
        pass


def settled(asked: list[dict[str, object]]) -> int:
    """How many requests there are once the last that a killed run has sent are read."""
    count = -1
    while count != len(asked):
        count = len(asked)
        time.sleep(0.3)
    return count


def test_a_killed_run_goes_on_and_no_stored_call_is_repeated(tmp_path):
    """300 judgements at concurrency 16, killed after some 100: at most 16 calls in flight are made twice."""
    folder = tmp_path / "judge"

    def answer(shown: str, _: int):
        time.sleep(0.02)
        return verdict(longer(shown))

    with serving(answer) as server:
        code = ASK.format(tests=str(Path(__file__).parent), url=server.url, questions=150, folder=str(folder))
        tests = str(Path(__file__).parents[1])
        env = {**os.environ, "OPENAI_API_KEY": "k", "PYTHONPATH": tests}
        run = subprocess.Popen([sys.executable, "-c", code], env=env)
        until = time.monotonic() + 60
        while len(server.asked) < 100 and time.monotonic() < until:
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.wait()
        kept = (folder / "replies.jsonl").read_bytes().count(b"\n")
        assert 50 < kept < 299
        before = settled(server.asked)
        subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=60)
        assert len(server.asked) - before == 300 - kept
        assert before - kept <= 16
    games = load_games(folder)
    assert len(games) == 300
    assert all(game.verdict is not None for game in games)
