"""``judge audit``, ``judge scores`` and ``judge ranking`` over stored results."""

import json
import random
import shlex
import shutil
from pathlib import Path

import pytest
from judge_worlds import write_judged
from run_cli import invoke

from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.judge.audit import audit_of
from rpo_bench.judge.storage import judge_folders
from rpo_bench.results.samples import ScoreLine
from rpo_bench.results.store import read_results, read_samples

N = 40
JUDGES = """
def more(first, second):
    return "tie" if first == second else "A" if first > second else "B"

def counts(prompt, first, second):
    return more(first.count("good"), second.count("good"))

def longer(prompt, first, second):
    return more(len(first), len(second))

def first(prompt, first, second):
    return "A"
"""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Responses of goods and bads in any number; the reward counts the goods, of which no two are alike."""
    rng = random.Random(0)
    said = {
        method: [" ".join(["good"] * rng.choice(goods) + ["bad"] * rng.randrange(12)) + "." for _ in range(N)]
        for method, goods in {"reference": (0, 2), "sft": (1, 4), "rpo": (3, 5)}.items()
    }
    root = write_judged(tmp_path / "run", said)
    for stored in read_results(root).records:
        lines = [
            ScoreLine(prompt_id=one.prompt_id, sample=0, scores={"reward": float(one.text.count("good"))})
            for one in read_samples(stored.folder)
        ]
        write_json_lines(stored.folder / "scores.jsonl.gz", lines)
    return root


@pytest.fixture
def judge(tmp_path: Path):
    file = tmp_path / "judges.py"
    file.write_text(JUDGES)
    return lambda name: f"python:{file}:{name}"


def card(output, judge, *more):
    ended = invoke("judge", "audit", output, "--judge", judge, "--pairs", "60", "--json", *more)
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def test_a_judge_that_knows_the_truth(output, judge):
    found = card(output, judge("counts"))
    assert found["agreement"]["accuracy"]["point"] == 1
    assert found["flip_rate"]["point"] == 0
    rows = {row["name"]: row["win_rate"]["point"] for row in found["sanity"]}
    assert set(rows) == {"null model", "prompt copy", "longer of two"}
    assert rows["null model"] < 0.5
    assert not any("order" in warning or "length" in warning for warning in found["warnings"])


def test_the_longer_and_the_first_are_warned_of(output, judge):
    ended = invoke("judge", "audit", output, "--judge", judge("longer"), "--pairs", "60")
    assert (
        "Little better than picking the longer one" in ended.output or "No better than a coin" in ended.output
    )
    ended = invoke("judge", "audit", output, "--judge", judge("first"), "--pairs", "60")
    assert "prefers what it is shown first" in ended.output


def test_an_audit_is_the_same_each_time_and_asks_nothing_twice(output, judge):
    records = read_results(output).records
    assert audit_of(records, 20) == audit_of(records, 20)
    first = card(output, judge("counts"))
    (folder,) = judge_folders(output)
    before = (folder / "replies.jsonl").read_text()
    assert card(output, judge("counts")) == first
    assert (folder / "replies.jsonl").read_text() == before
    assert json.loads((folder / "card.json").read_text()) == first


def rpo(output):
    return next(one.record for one in read_results(output).records if one.record.spec.method.name == "rpo")


def test_each_judge_has_its_own_win_rates_in_the_records(output, judge):
    """In the order in which a user comes to it: one judge, then another, then the other on the board."""
    assert invoke("judge", "run", output, "--judge", judge("counts")).exit_code == 0
    assert invoke("judge", "scores", output, "--write").exit_code == 0
    counted = rpo(output).metrics["win_rate"]
    assert counted.interval.point > 0.9
    assert counted.backend.startswith("python:counts ")
    assert (
        rpo(output).metrics["judge_rating"].interval.low is None
    )  # it won everything: how far can't be told
    invoke("judge", "audit", output, "--judge", judge("longer"), "--pairs", "6")
    invoke("judge", "run", output, "--judge", judge("longer"), "--against", "all")
    both = invoke("judge", "scores", output, "--write")
    assert both.exit_code == 0, both.output
    beside = next(value for name, value in rpo(output).metrics.items() if name.startswith("win_rate@longer-"))
    assert rpo(output).metrics["win_rate"] == counted
    assert beside.backend.startswith("python:longer ")
    assert f"{beside.backend} (--judge " in both.stdout
    chosen = invoke("judge", "scores", output, "--judge", judge("longer"), "--write")
    assert chosen.exit_code == 0, chosen.output
    assert rpo(output).metrics["win_rate"] == beside
    assert counted in [v for name, v in rpo(output).metrics.items() if name.startswith("win_rate@counts-")]


def test_one_of_several_judges_is_chosen_by_what_is_printed(output, judge):
    for name in ("counts", "longer"):
        invoke("judge", "run", output, "--judge", judge(name))
    both = json.loads(invoke("judge", "scores", output, "--matrix", "--json").stdout)
    assert both["agreement"][0]["questions"] > 0
    for folder, one in both["judges"].items():
        hashed = one["judge"].rpartition(" ")[2]
        for given in (folder, folder[:5], one["judge"], one["judge"].rpartition(" ")[0], hashed):
            found = json.loads(invoke("judge", "scores", output, "--judge", given, "--json").stdout)
            assert list(found["judges"]) == [folder], given
    unknown = invoke("judge", "scores", output, "--judge", "shorter")
    assert unknown.exit_code == 2
    assert "python:counts" in unknown.stderr


def test_the_command_of_a_record_asks_its_judge_the_same(output, judge, monkeypatch):
    """Its parts, run one after another in a copy, give the same win rates."""
    asked = ("--judge", judge("counts"), "--limit", "7", "--against", "sft@0.3", "--judge-max-chars", "900")
    assert invoke("judge", "run", output, *asked).exit_code == 0
    assert invoke("judge", "scores", output, "--write").exit_code == 0
    told = {name: value for name, value in rpo(output).metrics.items() if "win_rate" in name}
    assert told["win_rate_sft"].interval.n == 7
    first, *later = rpo(output).command.split(" && ")
    assert first.endswith(f"--output-path runs/{output.name}")
    shutil.rmtree(output / "judgements")
    (output.parent / "runs").mkdir()
    shutil.copytree(output, output.parent / "runs" / output.name)
    monkeypatch.chdir(output.parent)
    for command in later:
        assert invoke(*shlex.split(command)[1:]).exit_code == 0
    made = rpo(output.parent / "runs" / output.name)
    assert {name: value for name, value in made.metrics.items() if "win_rate" in name} == told
    assert made.command == rpo(output).command


def test_ranking_beside_gold(output, judge):
    invoke("judge", "run", output, "--judge", judge("counts"))
    ended = invoke("judge", "ranking", output)
    assert ended.exit_code == 0, ended.output
    assert "Spearman's rank correlation: 1.000" in ended.output
    assert ended.output.index("rpo@0.3") < ended.output.index("sft@0.3")


def test_nothing_judged_yet_is_one_sentence(output):
    for verb in ("scores", "ranking"):
        ended = invoke("judge", verb, output)
        assert ended.exit_code != 0
        assert "there are no judgements here" in ended.output
