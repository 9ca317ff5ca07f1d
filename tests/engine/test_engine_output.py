"""The output folder: whose it is, and one run at a time."""

import os

import pytest
import yaml

from rpo_bench.engine.output import Identity, Output, begin, check_same_run, only_run
from rpo_bench.errors import UserError
from rpo_bench.spec.presets import load_config
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import FIRST_PROTOCOL, EvaluationSpec, MethodSpec, TrainingSpec

SPEC = RunSpec(methods=(MethodSpec(name="sft"),))
IDENTITY = Identity(task="t", task_hash="a" * 64, data={"m": "b" * 64}, models={"m": "c" * 64})


@pytest.fixture
def output(tmp_path):
    made = Output(tmp_path / "out", tmp_path / "out" / "work")
    begin(made, SPEC, IDENTITY)
    return made


def changed(**fields):
    return SPEC.model_copy(update=fields)


def test_more_methods_seeds_strengths_and_models_are_welcome(output):
    more = changed(methods=(MethodSpec(name="rpo"),), seeds=(5,), strengths={"rpo": (1.0,)}, n_strengths=1)
    identity = IDENTITY.model_copy(update={"models": {"other": "d" * 64}, "data": {"other": "e" * 64}})
    check_same_run(output, more, identity)
    begin(output, more, identity)
    check_same_run(output, SPEC, IDENTITY)
    moved = identity.model_copy(update={"models": {"other": "f" * 64}})
    with pytest.raises(UserError, match="content of model other is dddddddddddd there and ffffffffffff here"):
        check_same_run(output, more, moved)


@pytest.mark.parametrize(
    ("spec", "identity", "message"),
    [
        (changed(training=TrainingSpec(steps=7)), {}, "training.steps is 300 there and 7 here"),
        (changed(evaluation=EvaluationSpec(n_samples=9)), {}, "evaluation.n_samples is 4 there and 9 here"),
        (SPEC, {"task": "u"}, "the task is t there and u here"),
        (SPEC, {"task_hash": "x" * 64}, "the content of the task"),
        (SPEC, {"data": {"m": "x" * 64}}, "the content of the data for m"),
        (SPEC, {"models": {"m": "x" * 64}}, "the content of model m"),
    ],
)
def test_what_could_not_be_compared_is_refused_by_name(output, spec, identity, message):
    with pytest.raises(UserError, match=message):
        check_same_run(output, spec, IDENTITY.model_copy(update=identity))


def test_what_changes_no_result_may_differ(output):
    training = TrainingSpec(micro_batch_size=2, save_every=5, gradient_checkpointing=True)
    check_same_run(output, changed(training=training), IDENTITY)


def test_a_folder_of_version_0_1_takes_no_cells_of_another_protocol(output):
    """Its spec says nothing of batches and clipping."""
    spec = yaml.safe_load(output.spec.read_text())
    for name in FIRST_PROTOCOL:
        del spec["training"][name]
    output.spec.write_text(yaml.safe_dump(spec))
    with pytest.raises(UserError, match=r"training\.batches is by_length there and uniform here"):
        check_same_run(output, SPEC, IDENTITY)
    check_same_run(output, changed(training=TrainingSpec(**FIRST_PROTOCOL)), IDENTITY)


def test_the_spec_of_a_run_of_version_0_1_is_its_protocol_as_a_config_too(output):
    """A file that somebody wrote by hand, with the settings that matter to them, is today's."""
    spec = yaml.safe_load(output.spec.read_text())
    for name in FIRST_PROTOCOL:
        del spec["training"][name]
    output.spec.write_text(yaml.safe_dump(spec))
    assert load_config(output.spec)["training"].items() >= FIRST_PROTOCOL.items()
    output.spec.write_text("training: {steps: 5}\n")
    assert load_config(output.spec) == {"training": {"steps": 5}}


def test_finished_checkpoints_may_have_been_trained_in_any_way(output):
    other = changed(training=TrainingSpec(steps=7))
    check_same_run(output, other, IDENTITY.model_copy(update={"data": {}}), trains=False)
    with pytest.raises(UserError, match=r"evaluation\.limit.*or leave out --task"):
        check_same_run(output, changed(evaluation=EvaluationSpec(limit=3)), IDENTITY, trains=False)


def test_only_one_run_at_a_time(output):
    with only_run(output), pytest.raises(UserError, match=f"process {os.getpid()}"), only_run(output):
        pass
    with only_run(output):
        pass


def test_a_refused_run_leaves_no_new_folder_behind(tmp_path):
    output = Output(tmp_path / "out", tmp_path / "out/work")

    def fail():
        with only_run(output):
            (output.work / "cache").mkdir()
            raise UserError("No.")

    def refuse():
        with pytest.raises(UserError):
            fail()

    refuse()
    assert not output.root.exists()
    output.root.mkdir()
    refuse()
    assert output.root.exists()  # it was there before


def test_a_path_that_can_not_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="can't be written"),
        only_run(Output(tmp_path / "file/out", tmp_path / "w")),
    ):
        pass


def test_a_damaged_spec_is_named(output):
    output.spec.write_text("a: [")
    with pytest.raises(UserError, match=r"spec.yaml line 1 is not YAML"):
        check_same_run(output, SPEC, IDENTITY)
