"""Settings that mean nothing, or would hang or blow up whoever reads them, are refused through every door."""

import itertools
import json
from pathlib import Path

import pytest
import yaml
from run_cli import invoke
from tiny_task import tiny_task
from verbs import commands

import rpo_bench as rb
from rpo_bench.cli.frame import usage_sentence
from rpo_bench.engine.inputs.rewards import parse_rewards
from rpo_bench.engine.output import read_run_spec, read_yaml
from rpo_bench.engine.plan.plan import PlanContext, plan_run
from rpo_bench.errors import UserError
from rpo_bench.files.plain_data import MAX_DEPTH
from rpo_bench.files.settings_text import parse_yaml
from rpo_bench.methods.registry import resolve_method
from rpo_bench.spec.presets import layers_of, spec_over
from rpo_bench.spec.schema import CellSpec, RunSpec
from rpo_bench.spec.sections import MethodSpec
from rpo_bench.tasks.task import load_task

INFINITY, NAN = float("inf"), float("nan")


def deep(levels):
    value = "rpo"
    for _ in range(levels):
        value = [value]
    return value


def shared(levels):
    """What a few lines of aliases stand for: 9 ** levels values."""
    value = ["x"] * 9
    for _ in range(levels):
        value = [value] * 9
    return value


#: Field of a spec → a value that it must refuse, and what the sentence speaks of.
WRONG = {
    "inf as learning rate": ({"training": {"learning_rate": INFINITY}}, "learning_rate"),
    "NaN as learning rate": ({"training": {"learning_rate": NAN}}, "learning_rate"),
    "inf in a sweep": ({"learning_rates": [1e-3, INFINITY]}, "learning_rates"),
    "inf as decay": ({"training": {"weight_decay": INFINITY}}, "weight_decay"),
    "inf as norm": ({"training": {"max_grad_norm": INFINITY}}, "max_grad_norm"),
    "NaN as adapters' scale": ({"training": {"lora": {"alpha": NAN}}}, "alpha"),
    "inf as temperature": ({"evaluation": {"decoding": {"temperature": INFINITY}}}, "temperature"),
    "inf as penalty": ({"evaluation": {"decoding": {"repetition_penalty": INFINITY}}}, "repetition_penalty"),
    "NaN as top_p": ({"evaluation": {"decoding": {"top_p": NAN}}}, "top_p"),
    "NaN as test fraction": ({"data": {"test_fraction": NAN}}, "test_fraction"),
    "inf as time-out": ({"generation": {"openai": {"timeout": INFINITY}}}, "timeout"),
    "NaN as share of memory": ({"generation": {"vllm": {"gpu_memory_utilization": NAN}}}, "utilization"),
    "inf as strength": ({"strengths": {"*": [INFINITY]}}, "strengths"),
    "0 as strength": ({"strengths": {"*": [0]}}, "strengths"),
    "NaN as option": ({"methods": [{"name": "rpo", "options": {"tau": NAN}}]}, "tau"),
    "a seed below 0": ({"seeds": [-1]}, "seeds"),
    "a seed of 2 ** 32": ({"seeds": [2**32]}, "seeds"),
    "a seed of sampling of 2 ** 32": ({"evaluation": {"seed": 2**32}}, "seed"),
    "5,000 digits": ({"training": {"steps": 10**5000}}, "steps"),
    "64 bits": ({"training": {"steps": 2**63}}, "steps"),
    "NUL in a task": ({"task": "a\0b"}, "NUL"),
    "NUL in a method": ({"methods": [{"name": "rpo\0"}]}, "NUL"),
    "NUL in a path": ({"data": {"file": "a\0.jsonl"}}, "NUL"),
    "a surrogate in a model": ({"models": ["a\ud800"]}, "Unicode"),
    "a surrogate in a key": ({"strengths": {"\ud800": [1]}}, "Unicode"),
    "true as steps": ({"training": {"steps": True}}, "steps"),
    "true as seed": ({"seeds": [True]}, "seeds"),
    "true as learning rate": ({"training": {"learning_rate": True}}, "learning_rate"),
    "true as strength": ({"strengths": {"*": [True]}}, "strengths"),
    "no strengths": ({"strengths": {"rpo": []}}, "strengths.rpo"),
    "no methods": ({"methods": []}, "methods"),
    "no seeds": ({"seeds": []}, "seeds"),
    "no models": ({"models": []}, "models"),
    "no modules": ({"training": {"lora": {"target_modules": []}}}, "target_modules"),
    "a name of 10,000": ({"task": "x" * 10_000}, "task"),
    "nested lists": ({"methods": deep(5_000)}, "nested deeper"),
    "a part that is a list": ({"training": [1]}, "training"),
    "a part that is a number": ({"data": 5}, "data"),
    "strengths that are a list": ({"strengths": [1]}, "strengths"),
    "more than all aliases": ({"methods": shared(9)}, "more than"),
}  # fmt: skip
#: YAML has no lone surrogates, nor so large numbers; aliases are in texts of their own below.
IN_YAML = [name for name in WRONG if "surrogate" not in name and name != "5,000 digits"]

every_wrong = pytest.mark.parametrize("name", WRONG)


def sentence(error):
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 500, "a sentence, not the input"
    return text


@every_wrong
def test_python_refuses(name):
    settings, said = WRONG[name]
    with pytest.raises(UserError, match=said) as raised:
        rb.make_spec("smoke", **settings)
    sentence(raised)


@every_wrong
def test_layers_refuse(name):
    settings, said = WRONG[name]
    with pytest.raises(UserError, match=said) as raised:
        spec_over([*layers_of("smoke", None), settings], {})
    sentence(raised)


@pytest.mark.parametrize("name", IN_YAML)
def test_a_file_is_refused(name, tmp_path):
    settings, said = WRONG[name]
    text = YAML.get(name) or yaml.safe_dump(settings)
    file = tmp_path / "spec.yaml"
    file.write_text(text)
    result = invoke("train-and-eval", "--config", file, "--dry-run")
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(result.stderr) < 500 + len(str(file))


def aliases(levels):
    """Lists of nine times the one before."""
    names = [f"a{level}" for level in range(levels)]
    lines = [f"{names[0]}: &{names[0]} [{','.join('x' * 9)}]"]
    for below, name in itertools.pairwise(names):
        lines.append(f"{name}: &{name} [{','.join([f'*{below}'] * 9)}]")
    return "\n".join([*lines, f"methods: *{names[-1]}"])


def merges(levels):
    """Mappings that merge in nine times the one before."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{','.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, levels)]
    return "\n".join(lines)


YAML = {
    "nested lists": "methods: " + "[" * 5_000,
    "more than all aliases": aliases(10),
}
#: Texts that are no settings, and what is said of them.
TEXTS = {
    "nested brackets": ("methods: " + "[" * 50_000, "line 1: it is nested deeper than 40 levels"),
    "nested braces": ("{a: " * 5_000, "nested deeper"),
    "nested blocks": ("- " * 5_000, "nested deeper"),
    "nested keys": ("? " * 5_000, "nested deeper"),
    "aliases": (aliases(12), "more than 10,000 values"),
    "merges": (merges(12), "its merges are too large"),
    "itself": ("&a [*a]", "nested deeper"),
    "many values": (f"[{'1,' * 20_000}]", "more than 10,000 values"),
    "a megabyte": ("a: " + "x" * 1_000_001, "more than 1,000,000"),
    "5,000 digits": ("seeds: " + "9" * 5_000, "line 1: a number of 5,000 digits"),
    "5,000 hexadecimal digits": ("seeds: 0x" + "f" * 5_000, "digits"),
    "5,000 minutes": ("seeds: " + ":".join(["59"] * 5_000), "digits"),
    "infinity": ("a: [1, .inf]", "a.1 isn't a finite number"),
    "no number": ("a: .nan", "a isn't a finite number"),
    "a key twice": ("seeds: [1]\nseeds: [2]", "line 2: the key 'seeds' occurs twice"),
    "a key twice below": ("a: {steps: 1, steps: 2}", "the key 'steps' occurs twice"),
    "no date": ("a: 2026-13-45", "is not YAML"),
    "no whole number": ("a: !!int x", "is not YAML"),
    "no time": ("a: !!timestamp x", "is not YAML"),
    "a program": ("!!python/object/apply:os.system [exit]", "is not YAML"),
    "NUL": (r'a: "\0"', "NUL"),
    "a control character": ("a: \x01", "is not YAML"),
    "two documents": ("a: 1\n---\na: 2", "is not YAML"),
}
every_text = pytest.mark.parametrize("name", TEXTS)


@every_text
def test_a_text_that_is_no_settings(name):
    text, said = TEXTS[name]
    with pytest.raises(UserError, match=said) as raised:
        parse_yaml(text, "f.yaml")
    assert sentence(raised).startswith("f.yaml")


@pytest.mark.parametrize(
    "name", ["nested brackets", "aliases", "5,000 digits", "a key twice", "no date", "NUL"]
)
@pytest.mark.parametrize("door", ["config", "task", "an earlier run", "a checkpoint"])
def test_every_file_of_settings_is_read_so(door, name, tmp_path):
    text, said = TEXTS[name]
    file = tmp_path / "task.yaml"
    file.write_text(text)
    doors = {
        "config": lambda: layers_of(None, file),
        "task": lambda: load_task(str(tmp_path)),
        "an earlier run": lambda: read_run_spec(file),
        "a checkpoint": lambda: read_yaml(file),
    }
    with pytest.raises(UserError, match=said) as raised:
        doors[door]()
    assert len(sentence(raised)) < 300 + len(str(file))


def test_what_settings_do_have_is_read():
    """Aliases and merges as people use them, and depth up to the bound."""
    text = "a: &a {steps: 1, lr: 2}\nb: {<<: *a, steps: 3}\nc: [*a, *a]"
    found = parse_yaml(text, "f")
    assert found["b"] == {"steps": 3, "lr": 2}
    assert found["c"] == [{"steps": 1, "lr": 2}] * 2
    assert parse_yaml("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), "f")


#: Flags that refuse: verb and words, and what the sentence speaks of.
FLAGS = {
    "inf": (["--learning-rate", "inf"], "--learning-rate"),
    "NaN": (["--max-grad-norm", "nan"], "--max-grad-norm"),
    "other digits": (["--steps", "١٢"], "--steps"),
    "underscores": (["--steps", "1_000"], "--steps"),
    "5,000 digits": (["--steps", "9" * 5_000], "--steps"),
    "inf in --gen-kwargs": (["--gen-kwargs", "temperature=inf"], "temperature"),
    "twice in --gen-kwargs": (["--gen-kwargs", "top_k=1,top_k=2"], "'top_k' is given twice"),
    "inf as strength": (["--strengths", "rpo=inf"], "--strengths: 'inf'"),
    "a number too large": (["--strengths", "rpo=1e999"], "--strengths: '1e999'"),
    "underscores in strengths": (["--strengths", "rpo=1_0"], "--strengths: '1_0'"),
    "strengths twice": (["--strengths", "rpo=1;rpo=2"], "twice"),
    "no strengths": (["--strengths", ""], "--strengths"),
    "inf in a sweep": (["--sweep", "lr=inf"], "--sweep: 'inf'"),
    "NaN as τ": (["--tau", "nan"], "--tau: 'nan'"),
    "no seeds": (["--seeds", ""], "--seeds"),
    "a seed below 0": (["--seeds", "-1"], "--seeds '-1'"),
    "a seed of 2 ** 32": (["--seeds", str(2**32)], "--seeds"),
    "a seed of 5,000 digits": (["--seeds", "9" * 5_000], "--seeds"),
    "seeds of other digits": (["--seeds", "١"], "--seeds"),
    "billions of seeds": (["--seeds", "0-4000000000"], "--seeds"),
    "no methods": (["--methods", ""], "--methods"),
    "brackets": (["--methods", "rpo" + "(" * 5_000], "--methods"),
    "spaces": (["--methods", "rpo" + " " * 19_000 + "!"], "--methods"),
    "an option twice": (["--methods", "rpo(tau=1,tau=2)"], "'tau' is given twice"),
    "an option of 5,000 digits": (["--methods", f"rpo(tau={'9' * 5_000})"], "tau takes a finite number"),
    "an infinite option": (["--methods", "rpo(tau=inf)"], "tau takes a finite number"),
    "a long flag": (["--methods", "rpo," * 10_000], "longer than"),
    "NUL in a path": (["--output-path", "a\0b"], "--output-path"),
    "NUL in a plug-in": (["--plugin", "a\0b"], "--plugin"),
    "a surrogate in a path": (["--config", "a\udc80"], "--config"),
}  # fmt: skip


@pytest.mark.parametrize("name", FLAGS)
def test_flags_are_refused(name, tmp_path, monkeypatch):
    words, said = FLAGS[name]
    monkeypatch.chdir(tmp_path)
    result = invoke("train-and-eval", "--preset", "smoke", *words, "--dry-run")
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(result.stderr) < 500
    assert not list(tmp_path.iterdir())


def refusal(command, flag, value):
    """What is said of a flag's value; nothing where it is taken."""
    try:
        command.make_context("verb", [flag, value])
    except Exception as error:
        return usage_sentence(error)
    return ""


def test_every_flag_of_every_verb_refuses_what_is_no_number_and_no_text():
    """Numbers that aren't finite, seeds beyond 32 bits, NUL and surrogates: whichever verb's flag it is."""
    tried = 0
    for name, command in commands().items():
        for parameter in command.params:
            flags = [flag for flag in parameter.opts if flag.startswith("--")]
            if not flags or getattr(parameter, "is_flag", False):
                continue
            values = ["a\0b", "a\udc80"]
            if isinstance(parameter.default, float):
                values += ["inf", "nan", "-inf"]
            if flags[0].endswith("seed"):
                values += ["-1", str(2**32)]
            for value in values:
                tried += 1
                assert flags[0] in refusal(command, flags[0], value), (name, flags[0], value)
    assert tried > 400


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tau": True}, "tau takes a float"),
        ({"tau": [1]}, "tau takes a float"),
        ({"tau": INFINITY}, "isn't a finite number"),
        ({"logp": ["mean"]}, "no value of logp"),
        ({"x" * 500: 1}, "no option"),
    ],
)
def test_options_of_methods(options, said):
    with pytest.raises((UserError, ValueError), match=said):
        resolve_method(MethodSpec(name="rpo", options=options))


@pytest.mark.parametrize(("name", "text"), [("a.jsonl", '{"prompt": %s}\n'), ("a.json", '[{"prompt": %s}]')])
def test_rows_with_numbers_that_python_cannot_read(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text % ("9" * 5_000))
    result = invoke("data", "check", file)
    assert result.exit_code
    assert "a number of more than 4,300 digits" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (["q_porj"], "decoder has no layer 'q_porj'. Did you mean 'q_proj'?"),
        (["q_proj", "nothing"], "no layer 'nothing'"),
        (["roj"], "no layer 'roj'"),
        (["layers"], "target_modules: decoder: "),
        (["q_proj", "v_proj"], None),
    ],
)
def test_layers_for_adapters_are_looked_for_when_the_model_is_known(tmp_path, targets, said):
    task = tiny_task(tmp_path / "tiny")
    training = {"lora": {"rank": 2, "target_modules": targets}, "steps": 2, "batch_size": 4}
    spec = rb.make_spec("smoke", task=str(task), methods="rpo", training=training, models="decoder")
    if said is None:
        assert plan_run(spec, PlanContext(tmp_path / "work")).cells
        return
    with pytest.raises(UserError) as raised:
        plan_run(spec, PlanContext(tmp_path / "work"))
    assert said in sentence(raised)


@pytest.mark.parametrize("weight", ["1e999", "-1e999", "9" * 5_000])
def test_weights_of_rewards(weight):
    with pytest.raises(UserError, match="not a finite number"):
        parse_rewards(f"gold*{weight}")


def test_published_specs_are_read():
    """A spec in results/ is one still, with the hash that it had; `leaderboard --check` reads all of them."""
    files = sorted((Path(__file__).parents[2] / "results").rglob("result.json"))[::15]
    assert len(files) > 20
    for file in files:
        record = json.loads(file.read_text())
        assert CellSpec.model_validate(record["spec"]).hash == record["cell"]


def test_a_spec_has_no_other_door():
    """Not even that of the class itself."""
    for name in ("true as seed", "inf as learning rate", "NUL in a task", "no strengths"):
        settings, said = WRONG[name]
        with pytest.raises(ValueError, match=said):
            RunSpec.model_validate({"methods": [{"name": "rpo"}], **settings})
