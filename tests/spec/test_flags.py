"""The table of flags: it knows every field of a run, and commands that it writes are read back."""

import shlex
import typing

import pytest
from pydantic import BaseModel

from rpo_bench.spec.flags import SPEC_FLAGS, called_in_sentences, field_of, set_at, value_at
from rpo_bench.spec.python_settings import SpecSettings
from rpo_bench.spec.schema import CellSpec, RunSpec
from rpo_bench.spec.sections import TrainingSpec

#: Fields that are set in a file or in Python, or that another flag sets with others.
WITHOUT_A_FLAG = {
    "n_strengths",
    "tuned",  # --tuned FILE reads them
    "training.lora.target_modules",
    "generation.vllm",  # --generation-args
    "generation.openai",
}


def fields_of(model, below=""):
    """The dotted names of all fields; settings that a flag sets as a whole count as one."""
    whole = {one.field for one in SPEC_FLAGS} | WITHOUT_A_FLAG
    for name, field in model.model_fields.items():
        path = f"{below}{name}"
        kinds = (field.annotation, *typing.get_args(field.annotation))
        inner = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        if inner is None or path in whole:
            yield path
        else:
            yield from fields_of(inner, f"{path}.")


def test_every_field_of_a_run_has_a_flag_or_is_known_to_have_none():
    flagged = {one.field for one in SPEC_FLAGS}
    flagged |= {field.rpartition(".")[0] for field in flagged if field.startswith("data.columns.")}
    assert set(fields_of(RunSpec)) - flagged == WITHOUT_A_FLAG


def test_python_settings_are_the_fields_of_a_run():
    assert set(SpecSettings.__annotations__) == set(RunSpec.model_fields)


def test_flags_are_unique_and_have_a_sentence():
    flags = [one.flag for one in SPEC_FLAGS]
    assert len(flags) == len(set(flags))
    assert all(one.help.rstrip("…").endswith((".", " ")) for one in SPEC_FLAGS)


def test_bounds_are_those_of_the_field():
    bounds = {one.flag: one.bounds for one in SPEC_FLAGS}
    assert bounds["--batch-size"] == {"min": 2}
    assert bounds["--eval-seed"] == {"min": 0, "max": 2**32 - 1}
    assert bounds["--lora-rank"] == {"min": 1}
    assert bounds["--learning-rate"] == {}  # above 0, which the spec says


def test_parts_of_a_cell_are_called_as_parts_of_a_run():
    """So that the command of a cell can be written from the table."""
    parts = ("data", "training", "evaluation", "generation", "loading")
    for part in parts:
        assert CellSpec.model_fields[part].annotation is RunSpec.model_fields[part].annotation


def test_fields_are_found_and_set_by_their_dotted_names():
    settings = {}
    set_at(settings, "training.lora.rank", 4)
    set_at(settings, "training.steps", 9)
    assert settings == {"training": {"lora": {"rank": 4}, "steps": 9}}
    assert value_at(settings, "training.lora.rank") == 4
    assert value_at(settings, "evaluation.limit") is None
    assert field_of("training.lora.rank").default == 8


@pytest.mark.parametrize(
    ("field", "called"),
    [
        ("evaluation.seed", "generation seed"),
        ("evaluation.prompts", "prompts"),
        ("evaluation.decoding.temperature", "decoding temperature"),
    ],
)
def test_sentences_call_fields_by_a_name(field, called):
    assert called_in_sentences(field) == called


def test_pairs_are_written_as_they_are_read():
    flag = next(one for one in SPEC_FLAGS if one.flag == "--adam-betas")
    assert flag.words((0.9, 0.95)) == ["--adam-betas", "0.9,0.95"]
    assert TrainingSpec(adam_betas=flag.parse("0.9,0.95")).adam_betas == (0.9, 0.95)


def test_switches_are_written_without_a_value():
    words = [word for one in SPEC_FLAGS if one.field == "data.long" for word in one.words("drop")]
    assert shlex.join(words) == "--drop-long"
