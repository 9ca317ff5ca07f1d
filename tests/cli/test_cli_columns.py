"""Columns of the user's own, and conversations: through every verb that reads data, and into the record."""

import json
import shlex
from pathlib import Path

import pytest
import yaml
from family_models import family
from run_cli import SMALL, invoke, stored
from verbs import commands, flags, parsed

import rpo_bench as rb
from rpo_bench.cli.column_flags import ColumnFlags
from rpo_bench.data.columns import flag_of
from rpo_bench.data.conversation import Conversation
from rpo_bench.results.store import read_samples
from rpo_bench.spec.presets import layers_of
from rpo_bench.spec.sections import DataSpec

GIVEN = {"messages": "talk", "reward": "score"}


def talks(file: Path) -> Path:
    lines = [
        {
            "talk": [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": f"who is {name} ?"},
                {"role": "assistant", "content": "good"},
                {"role": "user", "content": "why ?"},
                {"role": "assistant", "content": answer},
            ],
            "score": reward,
        }
        for name in ("cat", "dog", "house", "river")
        for answer, reward in (("yes", 1.0), ("no", 0.0))
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.mark.parametrize("verb", ["data check", "base", "reward-model", "train", "train-and-eval"])
def test_every_verb_that_reads_data_takes_names_of_columns(verb: str):
    command = commands()[verb]
    names = DataSpec.model_fields["columns"].annotation.__args__[0].__args__
    assert {flag_of(name) for name in names} <= flags(command)
    words = [word for name in names for word in (flag_of(name), f"my {name}")]
    given = {key: value for key, value in parsed(command, *words).items() if key.endswith("_column")}
    assert ColumnFlags(**given).columns == {name: f"my {name}" for name in names}


def test_conversations_are_trained_on_and_measured_through_the_template_once(tmp_path: Path):
    """The run, its record's command, and what the policy was given of a held-out conversation."""
    rows, base = talks(tmp_path / "rows.jsonl"), family("llama-chat", tmp_path / "base")
    asked = ["train-and-eval", "--data", rows, "--messages-column", "talk", "--reward-column", "score"]
    asked += ["--models", base, "--methods", "dpo", "--strengths", "1", "--toxicity", "none", *SMALL]
    refused = invoke(*asked, "--prompt-format", "none", "--output-path", tmp_path / "none")
    assert refused.exit_code == 2
    assert "which need a chat template: give --prompt-format chat" in " ".join(refused.stderr.split())
    done = invoke(*asked, "--prompt-format", "chat", "--output-path", tmp_path / "run")
    assert done.exit_code == 0, done.output
    found = {one.record.spec.method.name: one for one in stored(tmp_path / "run")}
    record = found["dpo"].record
    assert record.status == "completed"
    assert record.spec.data.columns == GIVEN
    command = shlex.split(record.command)
    assert command[command.index("--messages-column") + 1] == "talk"
    assert command[command.index("--reward-column") + 1] == "score"
    prompts = {sample.prompt for sample in read_samples(found["dpo"].folder)}
    assert all(isinstance(one, Conversation) and len(one.turns) == 4 for one in prompts)
    plain = record.spec.model_copy(update={"data": record.spec.data.model_copy(update={"columns": {}})})
    assert plain.hash == record.spec.hash, "what the rows say is in their hash, whatever columns are called"


def test_a_spec_file_and_python_name_columns_too(tmp_path: Path):
    data = {"file": "rows.jsonl", "columns": GIVEN}
    (tmp_path / "spec.yaml").write_text(
        yaml.safe_dump({"methods": [{"name": "sft"}], "models": ["m"], "data": data})
    )
    assert rb.make_spec(config=tmp_path / "spec.yaml").data.columns == GIVEN
    assert rb.make_spec(methods="sft", models="m", data=data).data.columns == GIVEN
    assert layers_of(None, tmp_path / "spec.yaml")
    assert "columns" not in DataSpec().model_dump(), "records without them stay as they are"


def test_a_base_model_cannot_be_shown_turns(tmp_path: Path):
    rows = talks(tmp_path / "rows.jsonl")
    done = invoke(
        "base",
        "--data",
        rows,
        "--messages-column",
        "talk",
        "--reward-column",
        "score",
        "--out",
        tmp_path / "b",
    )
    assert done.exit_code == 2
    assert "rows.jsonl line 1: 8 of 8 rows are conversations of several turns" in " ".join(
        done.stderr.split()
    )


@pytest.mark.parametrize("verb", ["train-and-eval", "reward-model"])
def test_a_column_of_no_file_is_refused(verb: str, tmp_path: Path):
    more = {
        "train-and-eval": ["--methods", "sft", "--dry-run"],
        "reward-model": ["--task", "civil_qa", "--model", "decoder", "--out", tmp_path / "rm"],
    }
    done = invoke(verb, *more[verb], "--reward-column", "score")
    assert done.exit_code == 2
    assert "--reward-column names a column of a file: give it with --data" in " ".join(done.stderr.split())
