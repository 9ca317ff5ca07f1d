"""A run's own judge: it compares what was measured, once, and only what it is asked for."""

import json
import shlex

import pytest
import yaml
from run_cli import SMALL, invoke, stored
from tiny_models import tiny_judge
from tiny_task import tiny_task

from rpo_bench.judge.card import publish_cards
from rpo_bench.results.store import read_results
from rpo_bench.site.judge_cards import judge_cards

RUN = ("--methods", "sft,dro", "--learning-rate", "0.05")  # so fast that answers differ at once


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """The tiny task with a judge of its own, and the same without one."""
    root = tmp_path_factory.mktemp("tasks")
    judged = tiny_task(root / "judged")
    tiny_judge(judged / "models" / "judge")
    spec = yaml.safe_load((judged / "task.yaml").read_text())
    (judged / "task.yaml").write_text(yaml.safe_dump(spec | {"judge": "models/judge"}))
    tiny_task(root / "plain")
    return root


@pytest.fixture(scope="module")
def run(tasks, tmp_path_factory):
    """Runs train-and-eval on one of the tasks into a folder; the ended process and the folder."""

    def go(task, *args, output=None):
        out = output or tmp_path_factory.mktemp("out") / "run"
        where = ("--task", task, "--include-path", tasks, "--output-path", out)
        return invoke("train-and-eval", *where, *SMALL, *RUN, *args), out

    return go


@pytest.fixture(scope="module")
def done(run):
    return run("judged")


def test_every_checkpoint_has_a_win_rate_and_the_judge_has_a_card(done):
    ended, out = done
    assert ended.exit_code == 0, ended.output
    records = [one.record for one in read_results([out / "results"]).records]
    trained = [record for record in records if record.spec.strength is not None]
    assert len(trained) == len(records) - 1
    for record in trained:
        assert record.metrics["win_rate"].backend.startswith("embedded:judge ")
        assert 0 <= record.metrics["win_rate"].interval.point <= 1
    (card,) = (out / "judgements").glob("*/card.json")
    assert json.loads(card.read_text())["judge"] == trained[0].metrics["win_rate"].backend


def test_the_page_shows_both(done):
    page = (done[1] / "leaderboard" / "index.html").read_text()
    assert "How reliable is the judge?" in page
    assert 'data-k="win_rate"' in page


def test_a_second_run_asks_nothing(run, done):
    before = {file: file.stat().st_mtime_ns for file in done[1].glob("judgements/*/replies.jsonl")}
    ended, _ = run("judged", output=done[1])
    assert ended.exit_code == 0, ended.output
    assert before == {file: file.stat().st_mtime_ns for file in done[1].glob("judgements/*/replies.jsonl")}
    assert "judged by" not in ended.stderr


def test_a_further_method_asks_of_it_alone(run, done):
    """KTO is new: its answers are compared with both baselines'; nothing that was told is asked again."""
    (file,) = done[1].glob("judgements/*/replies.jsonl")
    old = file.read_text().splitlines()
    ended, _ = run("judged", "--methods", "sft,dro,kto", output=done[1])
    assert ended.exit_code == 0, ended.output
    now = file.read_text().splitlines()
    assert now[: len(old)] == old
    keys = [json.loads(line)["key"] for line in now]
    assert len(set(keys)) == len(keys) > len(old)


def test_the_command_of_a_record_makes_its_win_rates_again(run, tmp_path):
    """With the number of judged prompts, and the SFT baseline that the other win rate is against."""
    ended, out = run("judged", "--judge-prompts", "3", "--strengths", "sft=4;dro=0.5")
    assert ended.exit_code == 0, ended.output
    record = next(one.record for one in stored(out) if one.record.spec.method.name == "dro")
    told = {name: value for name, value in record.metrics.items() if name.startswith("win_rate")}
    assert told["win_rate"].interval.n == told["win_rate_sft"].interval.n == 3
    again = invoke(*shlex.split(record.command)[1:], "--output-path", tmp_path / "again")
    assert again.exit_code == 0, again.output
    made = next(one.record for one in stored(tmp_path / "again") if one.record.cell == record.cell)
    assert {name: made.metrics[name] for name in told} == told
    assert made.command == record.command


def test_none_means_nobody(run):
    ended, out = run("judged", "--judge", "none")
    assert ended.exit_code == 0, ended.output
    assert not (out / "judgements").exists()


def test_a_task_without_a_judge_has_no_win_rates(run):
    ended, out = run("plain")
    assert ended.exit_code == 0, ended.output
    assert not (out / "judgements").exists()
    assert "win_rate" not in stored(out)[0].record.metrics


@pytest.mark.parametrize(
    ("task", "judge", "said"),
    [
        ("plain", "embedded", "the task 'plain' has no judge of its own"),
        ("judged", "openai:gpt", "rpo-bench judge run"),
    ],
)
def test_a_judge_that_isnt_there_is_told_before_anything_runs(run, task, judge, said):
    ended, out = run(task, "--judge", judge)
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert not (out / "results").exists()


def test_what_is_published_has_the_card_and_not_the_replies(done, tmp_path):
    """Uncommitted code is refused elsewhere; here the cards alone are copied."""
    assert publish_cards(done[1], tmp_path) == 1
    assert sorted(file.name for file in tmp_path.rglob("*.json*")) == ["card.json", "judge.json"]
    (card,) = judge_cards([tmp_path])[0]
    assert card.judge.startswith("embedded:judge ")
