"""Strengths placed near KL budgets in a run: what is added, what is said, and that it goes on."""

import shutil

import pytest
from run_cli import invoke, stored
from tiny_task import tiny_task

from rpo_bench.engine.search.arms import tried_strengths
from rpo_bench.engine.search.placing import bracketed

SETTINGS = (
    "--steps", "4", "--batch-size", "8", "--lr", "0.02", "--probe-every", "0", "--n-samples", "2",
    "--toxicity", "none", "--seeds", "0,1", "--workers", "1", "--judge", "none",
)  # fmt: skip
BUDGETS = (0.5, 2.0)
PLACED = ("--kl-budgets", "0.5,2", "--placed", "3")


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return tiny_task(tmp_path_factory.mktemp("tasks") / "tiny")


@pytest.fixture(scope="module")
def done(task, tmp_path_factory):
    """KTO from two strengths; SFT, for which every k comes to the same: the first response is the best."""
    out = tmp_path_factory.mktemp("placed") / "out"
    found = invoke(
        "train-and-eval", "--task", task, "--methods", "kto,sft", "--strengths", "kto=0.1,1;sft=1,4",
        *SETTINGS, *PLACED, "--output-path", out,
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    return out, found.stderr.replace("\n", " ")


def records(out, method):
    found = [one.record for one in stored(out)]
    return [record for record in found if record.spec.method.name == method]


def strengths(out, method):
    return {record.spec.strength for record in records(out, method)}


def test_strengths_are_added_to_those_that_were_given_and_no_more_than_asked_for(done):
    out, _ = done
    assert {0.1, 1.0} < strengths(out, "kto")
    assert len(strengths(out, "kto")) <= 2 + 3
    assert strengths(out, "sft") == {1}


def test_every_strength_has_every_seed(done):
    out, _ = done
    for method in ("kto", "sft"):
        for strength in strengths(out, method):
            seeds = [r.spec.seed for r in records(out, method) if r.spec.strength == strength]
            assert sorted(seeds) == [0, 1]


def test_it_says_which_budgets_have_no_strengths_close_on_both_sides(done):
    out, said = done
    assert "Up to 3 further strengths of each method are placed near 0.5, 2 nats" in said
    for method in ("kto", "sft"):
        tried = tried_strengths(records(out, method))
        for budget in BUDGETS:
            named = [
                f"{method} on decoder doesn't reach {budget:g} nats",
                f"{method} on decoder has no strengths within 15 % of {budget:g} nats",
            ]
            assert any(line in said for line in named) != bracketed(tried, budget)


def test_stopped_on_the_way_it_ends_with_the_same_cells(done, task, tmp_path):
    out, _ = done
    again = tmp_path / "again"
    shutil.copytree(out, again)
    for file in sorted((again / "results").rglob("result.json"))[::2]:
        shutil.rmtree(file.parent)
    found = invoke(
        "train-and-eval", "--task", task, "--methods", "kto,sft", "--strengths", "kto=0.1,1;sft=1,4",
        *SETTINGS, *PLACED, "--output-path", again,
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert {one.record.cell for one in stored(again)} == {one.record.cell for one in stored(out)}


def test_a_method_whose_strength_an_option_says_keeps_to_it(task, tmp_path):
    found = invoke(
        "train-and-eval", "--task", task, "--methods", "kto(beta=0.3)", *SETTINGS, *PLACED,
        "--output-path", tmp_path / "out",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert strengths(tmp_path / "out", "kto") == {0.3}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--placed", "3"), "--placed needs --kl-budgets"),
        (("--kl-budgets", "0"), "give numbers above 0"),
        (("--kl-budgets", "x"), "'x' is not a number"),
    ],
)
def test_what_makes_no_sense_is_refused(task, tmp_path, flags, message):
    found = invoke("train-and-eval", "--task", task, *flags, "--output-path", tmp_path / "out")
    assert found.exit_code == 2
    assert message in found.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()
