"""AlpacaEval's annotations give AlpacaEval's win rate and standard error."""

import gzip
import json
import math
from pathlib import Path

import pytest
from run_cli import invoke

#: Preferences of seven questions: two wins, three losses, a draw in either spelling.
PREFERENCES = [2.0, 1.9, 1.0, 1.0000001, 1.2, 1.5, 0]


def annotations(preferences: list, **changes: object) -> list[dict]:
    return [
        {
            "instruction": f"question {i}",
            "output_1": "a" * 40,
            "output_2": "b" * (30 + 4 * i),
            "generator_1": "baseline",
            "generator_2": "model",
            "preference": preference,
            **changes,
        }
        for i, preference in enumerate(preferences)
    ]


def written(folder: Path, value: object, name: str = "annotations.json") -> Path:
    file = folder / name
    raw = (value if isinstance(value, str) else json.dumps(value)).encode()
    file.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return file


def imported(file: Path, *more: str) -> dict:
    ended = invoke("judge", "import", file, "--from", "alpaca-eval", "--json", "--resamples", "200", *more)
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


@pytest.mark.parametrize("name", ["annotations.json", "annotations.json.gz"])
def test_win_rate_and_standard_error_by_hand(tmp_path: Path, name: str):
    """Scores 1, .9, 0, 1e-7, .2, .5, .5: mean 3.1000001/7, sd of the sample over √7; discrete (2 + 2/2)/7."""
    found = imported(written(tmp_path, annotations(PREFERENCES), name))
    scores = [1.0, 0.9, 0.0, 1e-7, 0.2, 0.5, 0.5]
    mean = sum(scores) / 7
    sd = math.sqrt(sum((s - mean) ** 2 for s in scores) / 6)
    assert found["win_rate"] == pytest.approx(100 * mean, abs=1e-9)
    assert found["standard_error"] == pytest.approx(100 * sd / math.sqrt(7), abs=1e-9)
    assert (found["wins"], found["losses"], found["draws"]) == (2, 3, 2)
    assert found["discrete_win_rate"] == pytest.approx(100 * 3 / 7)
    assert (found["model"], found["baseline"]) == ("model", "baseline")
    low, high = (found["length_controlled_interval"][end] for end in ("low", "high"))
    assert 0 <= low <= found["length_controlled_win_rate"] <= high <= 100


def test_a_missing_verdict_is_unscored_not_a_loss(tmp_path: Path):
    found = imported(written(tmp_path, annotations([2.0, None, 1.0])))
    assert (found["win_rate"], found["unscored"], found["questions"]) == (50.0, 1, 3)


def test_a_question_judged_twice_is_one_question(tmp_path: Path):
    """Two games of one question, won and lost, are ½ of one question: no smaller standard error."""
    once = imported(written(tmp_path, annotations([2.0, 1.0, 2.0])))
    twice = imported(written(tmp_path, annotations([2.0, 1.0, 2.0]) * 2))
    assert twice["questions"] == 3
    assert twice["standard_error"] == pytest.approx(once["standard_error"])


def test_the_table_says_when_equal_length_is_an_extrapolation(tmp_path: Path):
    ended = invoke("judge", "import", written(tmp_path, annotations([2.0, 1.0], output_1="a" * 999)))
    assert ended.exit_code == 0, ended.output
    assert "win rate" in ended.stdout
    assert "shorter one on 100 % of the questions" in ended.stdout


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "is not JSON"),
        ({}, "must be a list of annotations"),
        ([], "must be a list of annotations"),
        ([{"instruction": "q"}], "annotation 1: it has no 'output_1'"),
        (annotations(["yes"]), "annotation 1: preference is 'yes', not a number"),
        (annotations([2.0, 3.0]), "annotation 2: preference 3 is outside 1 to 2"),
        (annotations([2.0], output_2=None), "annotation 1: instruction and outputs must be text"),
        ([*annotations([2.0]), *annotations([2.0], generator_2="x")], "more than one pair of models"),
        (annotations([None, None]), "No judgement of model against baseline has a verdict"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, value, said):
    ended = invoke("judge", "import", written(tmp_path, value), "--from", "alpaca-eval", "--json")
    assert ended.exit_code == 2
    assert said in ended.stderr


def test_files_that_are_not_there_or_cut_short_are_named(tmp_path: Path):
    assert "there is no such file" in invoke("judge", "import", tmp_path / "no.json").stderr
    cut = written(tmp_path, annotations(PREFERENCES), "cut.json.gz")
    cut.write_bytes(cut.read_bytes()[:60])
    assert "is damaged" in invoke("judge", "import", cut).stderr
