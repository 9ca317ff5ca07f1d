"""Specs: frozen, validated, and with an identity that changes exactly when a result could."""

import json

import pytest
from pydantic import ValidationError

from rpo_bench.analysis.panels import training_key
from rpo_bench.spec.schema import CellSpec, RunSpec
from rpo_bench.spec.sections import (
    FIRST_PROTOCOL,
    RPO_PAPER_DECODING,
    DataSpec,
    Decoding,
    EvaluationSpec,
    GenerationSpec,
    LoadingSpec,
    LoraSpec,
    MethodSpec,
    PromptFormat,
    ServerSettings,
    TrainingSpec,
)


def cell(**changes):
    settings = {
        "task": "civil_qa",
        "task_hash": "t" * 64,
        "data": DataSpec(),
        "data_hash": "d" * 64,
        "model": "decoder",
        "model_path": "/somewhere/decoder",
        "model_hash": "m" * 64,
        "method": MethodSpec(name="rpo"),
        "strength": 0.5,
        "seed": 0,
        "training": TrainingSpec(),
        "evaluation": EvaluationSpec(),
    }
    return CellSpec(**(settings | changes))


#: A change of every field that decides what a checkpoint is …
OF_TRAINING = {
    "task": "other",
    "data_hash": "x",
    "world_hash": "x",
    "model": "other",
    "model_hash": "x",
    "method": MethodSpec(name="rpo", options={"logp": "mean"}),
    "strength": 0.25,
    "seed": 1,
    "training": TrainingSpec(steps=301),
    "prompt_format": PromptFormat(kind="chat", hash="x"),
    "loading": LoadingSpec(dtype="bfloat16"),
}
#: … and of those that only decide how it is measured.
OF_EVALUATION = {
    "task_hash": "x", "evaluation": EvaluationSpec(n_samples=5), "generation": GenerationSpec(backend="vllm"),
}  # fmt: skip


class TestIdentity:
    @pytest.mark.parametrize("field", OF_TRAINING)
    def test_of_cell_and_checkpoint_changes_with_the_training(self, field):
        changed = cell(**{field: OF_TRAINING[field]})
        assert changed.hash != cell().hash
        assert changed.training_hash != cell().training_hash

    @pytest.mark.parametrize("field", OF_EVALUATION)
    def test_of_the_cell_alone_changes_with_the_evaluation(self, field):
        changed = cell(**{field: OF_EVALUATION[field]})
        assert changed.hash != cell().hash
        assert changed.training_hash == cell().training_hash

    @pytest.mark.parametrize(
        "change",
        [
            {"model_path": "/elsewhere"},
            {"data": DataSpec(file="/elsewhere/rows.jsonl")},
            {"loading": LoadingSpec(revision="a" * 40, device_map="auto")},
            {"generation": GenerationSpec(openai=ServerSettings(base_url="http://elsewhere/v1"))},
        ],
    )
    def test_does_not_change_with_where_files_lie(self, change):
        changed = cell(**change)
        assert (changed.hash, changed.training_hash) == (cell().hash, cell().training_hash)

    @pytest.mark.parametrize(
        "change",
        [
            {"micro_batch_size": 4},
            {"tokens_per_micro_batch": 512},
            {"gradient_checkpointing": True},
            {"save_every": 10},
            {"keep_checkpoints": "all"},
            {"report_to": ("tensorboard",)},
        ],
    )
    def test_does_not_change_with_what_changes_no_result(self, change):
        """Memory, saving and trackers: a run that ran out of memory goes on with other settings."""
        changed = cell(training=TrainingSpec(**change))
        same = cell(training=TrainingSpec())
        assert (changed.hash, changed.training_hash) == (same.hash, same.training_hash)
        assert training_key(changed) == training_key(same)

    def test_changes_with_the_bits_of_the_weights(self):
        small = cell(loading=LoadingSpec(quantization="nf4"))
        plain = cell(loading=LoadingSpec())
        assert small.training_hash != plain.training_hash
        assert "quantization" not in plain.model_dump(mode="json")["loading"], "as in records before it"

    def test_no_field_is_forgotten(self):
        """A field that is added to the cell has to be put into one of the three lists above."""
        assert {*OF_TRAINING, *OF_EVALUATION, "model_path", "data"} == set(CellSpec.model_fields)

    def test_survives_the_way_through_json(self):
        stored = CellSpec.model_validate_json(cell().model_dump_json())
        assert stored == cell()
        assert stored.hash == cell().hash

    def test_does_not_tell_a_whole_number_from_the_same_with_a_point(self):
        """1 on the command line and 1.0 in a YAML file are one strength."""
        assert cell(strength=1).hash == cell(strength=1.0).hash


class TestName:
    def test_says_method_strength_seed_and_hash(self):
        assert cell().name == f"rpo-0.5-0-{cell().hash[:8]}"

    def test_is_fit_for_a_file_system(self):
        options = {"partition": "leave/one\\out", "logp": "mean"}
        name = cell(method=MethodSpec(name="rpo", options=options), strength=None).name
        assert name.startswith("rpo_logp=mean_partition=leave_one_out-none-0-")
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._=-")

    def test_of_options_is_sorted(self):
        assert MethodSpec(name="rpo", options={"z": 1, "a": 2}).label == "rpo(a=2,z=1)"
        assert MethodSpec(name="rpo").label == "rpo"


class TestValidation:
    @pytest.mark.parametrize(
        ("spec", "values"),
        [
            (TrainingSpec, {"stepz": 3}),
            (TrainingSpec, {"steps": 0}),
            (TrainingSpec, {"batch_size": 1}),
            (TrainingSpec, {"learning_rate": 0}),
            (TrainingSpec, {"dtype": "float16"}),
            (EvaluationSpec, {"n_samples": 0}),
            (Decoding, {"temperature": 0}),
            (Decoding, {"top_p": 1.5}),
            (DataSpec, {"test_fraction": 1}),
            (DataSpec, {"responses_per_prompt": 0}),
            (LoraSpec, {"rank": 0}),
            (RunSpec, {"methods": []}),
            (RunSpec, {"methods": [{"name": "rpo"}], "seeds": []}),
        ],
    )
    def test_refuses_what_means_nothing(self, spec, values):
        with pytest.raises(ValidationError):
            spec(**values)

    def test_specs_are_frozen(self):
        with pytest.raises(ValidationError):
            TrainingSpec().steps = 4

    def test_a_run_can_be_written_and_read(self):
        run = RunSpec(
            methods=(MethodSpec(name="rpo"),),
            strengths={"*": (0.5, 1)},
            training=TrainingSpec(lora=LoraSpec()),
        )
        assert RunSpec.model_validate(json.loads(run.model_dump_json())) == run


class TestDecoding:
    def test_by_default_samples_the_policy_itself(self):
        assert Decoding().ancestral
        assert Decoding(max_new_tokens=7).ancestral

    @pytest.mark.parametrize(
        "change", [{"temperature": 0.9}, {"top_k": 5}, {"top_p": 0.9}, {"repetition_penalty": 1.1}]
    )
    def test_otherwise_does_not(self, change):
        assert not Decoding(**change).ancestral

    def test_of_the_rpo_paper(self):
        """T 0.7, top-k 50, top-p 0.95, repetition penalty 1.2, no repeated trigram."""
        assert list(RPO_PAPER_DECODING.model_dump().values()) == [0.7, 50, 0.95, 1.2, 3, None]
        assert not RPO_PAPER_DECODING.ancestral


def stored_before(spec: CellSpec) -> dict[str, object]:
    """A cell as version 0.1 stored it: without how batches are drawn and gradients clipped."""
    values = spec.model_dump(mode="json")
    values["training"] = {k: v for k, v in values["training"].items() if k not in FIRST_PROTOCOL}
    return values


def test_a_cell_stored_by_version_0_1_was_trained_by_its_protocol_and_keeps_its_identity():
    """That it is the one of its fields then, the published records show: each holds its hash."""
    found = CellSpec.model_validate(stored_before(cell()))
    assert (found.training.batches, found.training.clipping) == ("by_length", "absolute")
    assert found.hash != cell().hash
    assert CellSpec.model_validate(found.model_dump(mode="json")).hash == found.hash


def test_a_reference_policy_has_one_identity_by_any_protocol():
    untrained = cell(strength=None)
    assert CellSpec.model_validate(stored_before(untrained)).hash == untrained.hash


@pytest.mark.parametrize("name", ["batches", "clipping"])
def test_a_protocol_is_part_of_a_trained_cells_identity(name):
    changed = TrainingSpec(**{**cell().training.model_dump(), name: FIRST_PROTOCOL[name]})
    assert cell(training=changed).hash != cell().hash
    assert cell(training=changed).training_hash != cell().training_hash


def test_adams_decay_is_part_of_a_cells_identity_where_it_is_unusual():
    """Cells trained before it could be set keep theirs."""
    usual, other = (cell(training=TrainingSpec(adam_betas=betas)) for betas in ((0.9, 0.999), (0.9, 0.95)))
    assert usual.hash == cell().hash
    assert other.hash != usual.hash
    assert CellSpec.model_validate(other.model_dump(mode="json")) == other
    assert "adam_betas" not in usual.model_dump(mode="json")["training"]


def test_a_norm_is_of_absolute_clipping_alone():
    with pytest.raises(ValidationError, match="set clipping to absolute"):
        TrainingSpec(max_grad_norm=2.0)
    assert TrainingSpec(max_grad_norm=2.0, clipping="absolute").max_grad_norm == 2.0


def test_a_checkpoint_from_elsewhere_has_one_identity_by_any_protocol():
    """Nobody knows how it was trained."""
    foreign = cell(strength=0.0, data_hash="")
    assert CellSpec.model_validate(stored_before(foreign)).hash == foreign.hash
