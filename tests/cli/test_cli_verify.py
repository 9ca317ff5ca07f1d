"""``rpo-bench verify``: what is printed, and every mistake as one sentence."""

import json

import pytest
from run_cli import invoke

from rpo_bench.methods import METHODS
from rpo_bench.registry import PLUGINS_VARIABLE

QUICK = ("--strengths", "0.5", "--ks", "1")


def test_verdicts_are_printed_under_a_table():
    done = invoke("verify", "una", *QUICK)
    assert done.exit_code == 0
    assert done.stdout.startswith("una: KL to π_ref·e^(r/τ), in nats\n")
    header = done.stdout.splitlines()[1].split("  ")
    assert [cell.strip() for cell in header if cell.strip()][2:4] == ["K = 1", "K → ∞"]
    assert "Data from π_ref: not consistent" in done.stdout


def test_several_methods_with_options_as_json():
    methods = "rpo(partition=self_normalised),rpo"
    done = invoke("verify", methods, "--taus", "rpo=0.5", "--ks", "1", "--seed", "1", "--json")
    weighted, plain = json.loads(done.stdout)
    assert (weighted["method"], plain["method"]) == ("rpo(partition=self_normalised)", "rpo")
    assert weighted["verdicts"]["off_policy"]["kind"] == "in_the_limit"
    assert plain["verdicts"]["off_policy"]["kind"] == "not_consistent"
    assert weighted["contract"]["coefficient_holds"]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("rpoo",), "Unknown method 'rpoo'. Did you mean 'rpo'?"),
        (("rpo", "--ks", "0"), "--ks '0' is not a list of numbers from 1 to 512, such as 1,2,4,16."),
        (
            ("rpo", "--taus", "sft=1"),
            "--strengths names 'sft', which isn't among the methods. Known: *, rpo.",
        ),
        (("rpo", "--taus", "-1"), "--strengths: -1 is not a strength: strengths are positive."),
        (("rpo", "--taus", "rpo=x"), "--strengths: 'x' is not a number."),
        (("sft", "--strengths", "1.5", "--ks", "1"), "sft: k is a whole number, not 1.5."),
    ],
)
def test_mistakes_are_one_sentence(args, sentence):
    done = invoke("verify", *args)
    assert (done.exit_code, done.stderr.strip()) == (2, sentence)


def test_a_gradient_that_is_not_the_declared_one_ends_with_1(tmp_path, monkeypatch):
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    monkeypatch.setenv(PLUGINS_VARIABLE, "")
    plugin = tmp_path / "broken.py"
    plugin.write_text(
        "from rpo_bench.methods import METHODS\n"
        "from trainers import UNA\n"
        "class Broken(UNA):\n"
        "    def coefficient(self, batch):\n"
        "        return -super().coefficient(batch)\n"
        "METHODS.add('broken', Broken)\n"
    )
    done = invoke("verify", "broken", "--plugin", plugin, *QUICK)
    assert done.exit_code == 1
    assert "BROKEN: −∇loss is not the mean of the declared coefficient times ∇log π" in done.stdout


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            "def coefficient(self, batch): ...",
            "Method 'mine' can't be made: Can't instantiate abstract class",
        ),
        (
            "def coefficient(self, batch): ...\n    def loss(self, batch): ...",
            "Method 'mine' doesn't state its ",
        ),
        (
            "name = title = paper = equation = ''\n    axes = Axes('', '', '')\n"
            "    strength_name = 'tau'\n    tau: float = 1.0\n"
            "    default_strengths = (1.0,)\n    def coefficient(self, batch): ...\n"
            "    def loss(self, batch): return batch.reward[99_999_999]",
            "Method 'mine' failed in the table: IndexError: index 99999999 is out of bounds",
        ),
    ],
    ids=["no-loss", "no-statements", "loss-raises"],
)
@pytest.mark.parametrize("verb", [("verify", "mine"), ("methods", "show", "mine")], ids=["verify", "show"])
def test_a_plugin_that_is_not_whole_is_one_sentence(tmp_path, monkeypatch, verb, body, sentence):
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    monkeypatch.setenv(PLUGINS_VARIABLE, "")
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from dataclasses import dataclass\n"
        "from rpo_bench.methods import METHODS\n"
        "from trainers import OfflineMethod\n"
        "from trainers.objective import Axes\n"
        f"@dataclass(frozen=True)\nclass Mine(OfflineMethod):\n    {body}\n"
        "METHODS.add('mine', Mine)\n"
    )
    done = invoke(*verb, "--plugin", plugin)
    if verb[0] == "methods" and "failed" in sentence:
        sentence = "Method 'mine': its coefficient failed: AttributeError: "
    assert done.exit_code == 2
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


def test_stopped_between_two_methods_it_goes_on_with_the_second(tmp_path, monkeypatch):
    """What is printed in the end is what an uninterrupted command prints; another command starts anew."""
    from rpo_bench.cli import verify as module

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked = ("verify", "sft,dro", "--ks", "2", "--strengths", "1", "--json")
    whole = invoke(*asked)
    verified, seen = module._verified, []

    def watched(spec, *rest):
        seen.append(spec.label)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return verified(spec, *rest)

    monkeypatch.setattr(module, "_verified", watched)
    assert invoke(*asked).exit_code == 130
    again = invoke(*asked)
    assert seen == ["sft", "dro", "dro"]
    assert again.stdout == whole.stdout
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
