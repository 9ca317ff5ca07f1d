"""No record tells where files lie on the machine that made it."""

import pytest
from results_factory import cell_spec, record_of, write_cell
from run_cli import invoke, stored
from tiny_models import tiny_decoder
from tiny_task import tiny_task

from rpo_bench.results.places import ABSOLUTE, from_here, without_places
from rpo_bench.results.publish import publish
from rpo_bench.submit.check import check_submission

SMALL = ("--n-samples", "2", "--workers", "1", "--limit", "2")
TRAINING = ("--methods", "sft", "--strengths", "2", "--seeds", "0", "--steps", "2", "--batch-size", "4")


@pytest.mark.parametrize(
    ("verb", "args"),
    [("eval", ("mine", "--reference", "base")), ("train-and-eval", ("--models", "base", *TRAINING))],
)
def test_results_of_relative_paths_can_be_sent(tmp_path, monkeypatch, verb, args):
    monkeypatch.chdir(tmp_path)
    tiny_task(tmp_path / "tasks" / "tiny")
    tiny_decoder(tmp_path / "base", scale=20.0)
    tiny_decoder(tmp_path / "mine", seed=5, scale=20.0)
    where = ("--task", "tiny", "--include-path", "tasks", "--output-path", "out")
    done = invoke(verb, *args, *where, *SMALL)
    assert done.exit_code == 0, done.output
    checks = {check.name: check for check in check_submission(tmp_path / "out", None).checks}
    assert {name for name, check in checks.items() if check.status == "failed"} <= {"commit"}
    for one in stored(tmp_path / "out"):
        assert one.record.spec.model_path == "base"
        assert str(tmp_path) not in (one.folder / "spec.yaml").read_text()


@pytest.mark.parametrize(
    "command",
    [
        "rpo-bench eval {}/mine --reward hf:{}/mine",
        "rpo-bench train-and-eval --data-files train={}/mine,test={}/mine",
        "rpo-bench eval ~/mine",
        "rpo-bench eval /work/mine",
    ],
)
def test_publishing_leaves_names_in_the_place_of_paths(tmp_path, command):
    text = without_places(command.replace("{}", str(tmp_path)))
    assert not ABSOLUTE.findall(text)
    assert "mine" in text
    assert str(tmp_path) not in text
    assert without_places("rpo-bench eval runs/x --base-url http://h.org/v1/x") == (
        "rpo-bench eval runs/x --base-url http://h.org/v1/x"
    )


def test_what_lies_nearby_is_told_from_here_and_a_hub_model_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert from_here(tmp_path / "here" / "a" / "b") == "a/b"
    assert from_here(tmp_path / "beside") == "../beside"
    cached = tmp_path / "cache" / "models--org--name" / "snapshots" / ("f" * 40)
    assert from_here(cached) == f"org/name@{'f' * 40}"


def test_a_published_record_has_no_place_of_its_data(tmp_path):
    spec = cell_spec()
    spec = spec.model_copy(update={"data": spec.data.model_copy(update={"file": "/work/rows.jsonl"})})
    clean = record_of(spec).environment.model_copy(update={"git_dirty": False})
    write_cell(tmp_path / "run" / "results", spec, environment=clean, command="rpo-bench eval /work/mine")
    (one,) = stored(tmp_path / "run")
    publish(one, tmp_path / "out")
    (there,) = stored(tmp_path / "out")
    assert there.record.spec.data.file == "rows.jsonl"
    assert there.record.command == "rpo-bench eval mine"
    assert there.record.cell == one.record.cell
