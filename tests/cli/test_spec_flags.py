"""A preset, a file over it, flags over both."""

import pytest
import yaml

from rpo_bench.cli.measuring_flags import EvaluationFlags
from rpo_bench.cli.run_flags import DataFlags, TrainingFlags
from rpo_bench.cli.spec_flags import build_spec, spec_changes
from rpo_bench.cli.train_and_eval import MatrixFlags
from rpo_bench.errors import UserError
from rpo_bench.spec.presets import layers_of, preset_names
from rpo_bench.spec.sections import Decoding


def build(layers, data=None, training=None, evaluation=None, **matrix):
    groups = (MatrixFlags(**matrix), data or DataFlags(), training or TrainingFlags())
    return build_spec(layers, spec_changes(*groups, evaluation or EvaluationFlags()))


def test_every_preset_is_a_spec():
    for name in preset_names():
        spec = build(layers_of(name, None))
        assert (spec.task == "civil_qa") == (name in ("quick", "smoke", "standard"))


def test_quick_is_five_methods_three_strengths_three_seeds_on_the_decoder():
    spec = build(layers_of(None, None))
    assert [method.name for method in spec.methods] == ["sft", "kto", "dro", "rpo", "rpo-released"]
    assert (spec.n_strengths, spec.seeds, spec.models) == (3, (0, 1, 2), ("decoder",))


def test_flags_over_a_file_over_a_preset(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump({"seeds": [7], "training": {"steps": 11, "batch_size": 5}}))
    spec = build(layers_of("smoke", file), training=TrainingFlags(steps=12))
    assert spec.seeds == (7,)  # the file's
    assert (spec.training.steps, spec.training.batch_size) == (12, 5)  # the flag's, the file's
    assert spec.training.warmup_steps == 5  # the preset's


def test_a_whole_spec_reads_back(tmp_path):
    spec = build(layers_of("standard", None), evaluation=EvaluationFlags(gen_kwargs="temperature=0.5"))
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    assert build(layers_of(None, file)) == spec
    assert spec.evaluation.decoding == Decoding(temperature=0.5)


def test_strengths_of_methods_that_a_flag_leaves_out_are_forgotten(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump({"strengths": {"rpo": [0.3], "kto": [0.1]}}))
    spec = build(layers_of(None, file), methods="rpo")
    assert spec.strengths == {"rpo": (0.3,)}


def test_a_file_of_rows_makes_its_own_task_and_needs_a_model():
    with pytest.raises(UserError, match="--data needs --models"):
        build(layers_of(None, None), data=DataFlags(data="some/hh rows.jsonl.gz"))
    spec = build(layers_of(None, None), data=DataFlags(data="some/hh rows.jsonl.gz"), models="a,b")
    assert (spec.task, spec.data.file) == ("data:hh-rows", "some/hh rows.jsonl.gz")
    assert spec.models == ("a", "b")
    both = build(layers_of(None, None), data=DataFlags(data="x.jsonl", task="civil_qa"))
    assert (both.task, both.data.file) == ("civil_qa", "x.jsonl")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seedz: [1]", r"unknown setting 'seedz'.*'seeds'"),
        ("training: {steps: 0}", r"training.steps = 0"),
        ("- 1", "holds no settings"),
        ("a: [", "is not YAML"),
        ("methods: []", "methods = "),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path, text, message):
    file = tmp_path / "spec.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        build(layers_of(None, file))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"training": TrainingFlags(lora_alpha=2.0)}, "--lora-alpha"),
        ({"data": DataFlags(truncate=True, drop_long=True)}, "exclude each other"),
        ({"data": DataFlags(task="a,b")}, "one task per run"),
        ({"evaluation": EvaluationFlags(gen_kwargs="temperature=0")}, "temperature"),
        ({"evaluation": EvaluationFlags(gen_kwargs="heat=2")}, "heat"),
        ({"training": TrainingFlags(dtype="float8")}, "dtype"),
    ],
)
def test_wrong_flags_are_one_sentence(flags, message):
    with pytest.raises(UserError, match=message):
        build(layers_of(None, None), **flags)


def test_an_unknown_preset_is_named():
    with pytest.raises(UserError, match=r"Unknown preset 'quik'.*'quick'"):
        layers_of("quik", None)


def test_a_sweep_is_a_list_of_learning_rates():
    assert build(layers_of(None, None), sweep="lr=1e-4,2e-4,1e-4").learning_rates == (1e-4, 2e-4)
    assert build(layers_of(None, None)).learning_rates == ()


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("1e-4", "is not understood; write e.g. lr=1e-4,2e-4"),
        ("beta=1", "is not understood"),
        ("lr=", "learning rates are numbers above 0"),
        ("lr=0", "learning rates are numbers above 0"),
        ("lr=fast", "--sweep"),
    ],
)
def test_what_is_no_sweep(sweep, said):
    with pytest.raises(UserError, match=said):
        build(layers_of(None, None), sweep=sweep)


def test_a_sweep_and_a_learning_rate_are_one_too_many():
    with pytest.raises(UserError, match="--sweep and --learning-rate both"):
        build(layers_of(None, None), training=TrainingFlags(learning_rate=1e-3), sweep="lr=1e-4")
