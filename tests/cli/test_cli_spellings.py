"""What people type who know other tools: one meaning on every verb, whatever it is called."""

import os

import pytest
from run_cli import invoke
from tiny_task import tiny_task
from verbs import commands, flags, parsed

from rpo_bench.cli.frame import CONTEXT
from rpo_bench.cli.run_flags import TrainingFlags
from rpo_bench.cli.spec_flags import spec_changes
from rpo_bench.cli.spellings import SAME
from rpo_bench.errors import UserError
from rpo_bench.models.device import use_device

COMMANDS = commands()
#: Typed by people who come from TRL, lm-eval or transformers.
TYPED = {
    "train-and-eval": "--lr --beta --tau --out --output_path --output-dir --device --wandb --model --models "
    "--seed --seeds --method --task --tasks --max-steps",
    "train": "--lr --beta --tau --out --output_path --device --wandb --model --models --seed --seeds --tasks",
    "eval": "--out --output_path --device --task --tasks",
    "base": "--lr --out --output_path --device --seed --seeds",
    "reward-model": "--lr --out --output_path --device --seed --model --models --task",
    "verify": "--tau --taus --beta --strengths --seed --seeds --json --format",
    "judge run": "--out --output_path --device --method --json --format",
    "judge audit": "--out --output_path --device --json --format",
    "oracle": "--device --model --task --tasks --seed --json --format",
    "score": "--device",
    "compare": "--model --task --tasks --json --format",
    "publish": "--into --out --output_path",
    "export": "--out --output_path",
    "leaderboard": "--out --output_path",
    "doctor": "--out --output_path",
}


def value(command, flag):
    """Something that the flag may be given."""
    option = next(p for p in command.params for group in SAME if flag in group and set(p.opts) & set(group))
    return "name" if option.name in ("models", "methods", "method", "model", "task", "output_path") else "3"


@pytest.mark.parametrize("verb", TYPED)
def test_what_people_type_is_understood(verb):
    assert {flag.replace("_", "-") for flag in TYPED[verb].split()} <= flags(COMMANDS[verb])


@pytest.mark.parametrize("verb", COMMANDS)
def test_spellings_of_one_flag_give_one_call(verb):
    command = COMMANDS[verb]
    for group in SAME:
        shown = {flag for p in command.params for flag in p.opts} & set(group)
        if not shown:
            continue
        assert set(group) <= flags(command), f"{verb} lacks {set(group) - flags(command)}"
        calls = [parsed(command, flag, value(command, flag)) for flag in group]
        assert all(call == calls[0] for call in calls) or len(shown) > 1


@pytest.mark.parametrize("verb", [v for v, c in COMMANDS.items() if {"--json", "--format"} & flags(c)])
def test_json_and_format_json_are_one(verb):
    command = COMMANDS[verb]
    plain, asked = parsed(command), parsed(command, "--json")
    assert asked != plain
    assert parsed(command, "--format", "json") == parsed(command, "--format=json") == asked
    assert parsed(command, "--", "--json") != asked  # behind -- there are no flags


@pytest.mark.parametrize("verb", COMMANDS)
def test_no_verb_has_two_places_for_its_output(verb):
    """Where one folder is written, its flag is --output-path; other spellings aren't shown."""
    shown = {flag for p in COMMANDS[verb].params for flag in p.opts}
    assert not shown & {"--out", "--output", "--into", "--output-dir", "--lr", "--taus"}


def test_an_unknown_format_is_refused():
    done = invoke("stability", "results", "--format", "xml")
    assert done.exit_code == 2
    assert "--format" in done.stderr


def test_a_beta_is_the_strength_of_the_methods_that_have_one(tmp_path):
    tiny_task(tmp_path / "tasks" / "tiny")
    where = ("--task", "tiny", "--include-path", tmp_path / "tasks", "--out", tmp_path / "out")
    common = ("train-and-eval", "--preset", "smoke", "--dry-run", *where, "--seed", "0")
    done = invoke(*common, "--toxicity", "none", "--methods", "sft,dpo,grpo", "--beta", "0.3,0.2")
    assert done.exit_code == 0, done.stderr
    assert "beta = 0.3, 0.2" in done.stdout
    assert "kl_coef = 0.3, 0.2" in done.stdout
    assert "k = 0.3" not in done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--methods", "sft", "--beta", "1"], "--beta: none of the methods has this strength"),
        (["--methods", "dpo", "--beta", "1", "--strengths", "2"], "--strengths and --beta both give"),
        (["--methods", "dpo", "--beta", "much"], "--beta: 'much' is not a number"),
        (
            ["--methods", "grpo", "--beta", "1", "--kl-coef", "2"],
            "--beta and --kl-coef mean the same for grpo",
        ),
    ],
)
def test_a_strength_by_a_wrong_name_is_one_sentence(words, sentence, tmp_path):
    done = invoke("train-and-eval", *words, "--output-path", tmp_path / "out")
    assert done.exit_code == 2
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "seen", "left"),
    [("cpu", None, ""), ("auto", "1", "1"), (None, "1", "1"), ("cuda:1", "4,7", "7"), ("1", None, "1")],
)
def test_a_device_is_all_that_the_command_sees(name, seen, left, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen or "")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    use_device(name)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == left


def test_a_device_that_is_not_here_is_one_sentence(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UserError, match="doesn't find this GPU"):
        use_device("cuda:0")
    with pytest.raises(UserError, match="choose cpu, cuda"):
        use_device("quantum")


def test_hyphens_and_underscores_are_one():
    assert CONTEXT["token_normalize_func"]("--output_path") == "--output-path"


def test_wandb_is_a_tracker_beside_others():
    assert spec_changes(TrainingFlags(wandb=True)) == {"training": {"report_to": ["wandb"]}}
    both = spec_changes(TrainingFlags(report_to="tensorboard,wandb", wandb=True))
    assert both == {"training": {"report_to": ["tensorboard", "wandb"]}}
