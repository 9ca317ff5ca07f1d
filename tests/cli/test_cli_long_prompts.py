"""One long prompt among the held-out ones of a task: refused, or cut or left out where that is asked for."""

import json
import shlex
from pathlib import Path

import pytest
from run_cli import SMALL, invoke, stored
from tiny_task import tiny_task

from rpo_bench.results.store import read_samples

LONG = "what is the " + "big " * 400 + "river ?"


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("long")
    folder = tiny_task(root / "tiny", encoder_decoder=True)
    file = folder / "heldout.jsonl"
    lines = file.read_text().splitlines()
    row = json.loads(lines[0])
    key = "text" if "text" in row else "prompt"
    file.write_text("\n".join([*lines, json.dumps({**row, "prompt_id": "long", key: LONG})]) + "\n")
    return root


def run(tasks: Path, output: Path, *more: str):
    where = ("--task", "tiny", "--include-path", tasks, "--output-path", output, "--models", "decoder")
    return invoke("train-and-eval", *where, "--methods", "sft", "--strengths", "2", *SMALL, *more)


def prompts_of(output: Path) -> dict[str, str]:
    sets = [{s.prompt_id: s.prompt for s in read_samples(r.folder)} for r in stored(output)]
    assert all(one == sets[0] for one in sets)
    return sets[0]


def test_without_a_flag_the_sentence_names_both(tasks: Path, tmp_path: Path):
    ended = run(tasks, tmp_path)
    assert ended.exit_code == 2
    assert "pass --drop-long or --truncate to leave out or cut what is too long" in " ".join(
        ended.output.split()
    )


@pytest.mark.parametrize(("flag", "done"), [("--drop-long", "left out"), ("--truncate", "cut at their")])
def test_every_verb_that_measures_does_as_it_is_asked(tasks: Path, tmp_path: Path, flag: str, done: str):
    ended = run(tasks, tmp_path / "run", flag)
    assert ended.exit_code == 0, ended.output
    assert f"held-out prompts don't fit the context of decoder and are {done}" in " ".join(
        ended.output.split()
    )
    measured = prompts_of(tmp_path / "run")
    assert ("long" in measured) == (flag == "--truncate")
    if flag == "--truncate":
        assert LONG.endswith(measured["long"])
        assert len(measured["long"]) < len(LONG)
    record = next(r.record for r in stored(tmp_path / "run") if r.record.spec.strength is not None)
    assert flag in shlex.split(record.command or "")
    checkpoint = next((tmp_path / "run").rglob("checkpoint"))
    again = invoke(
        "eval", checkpoint, "--task", "tiny", "--include-path", tasks, "--output-path", tmp_path / "eval",
        "--n-samples", "2", "--workers", "1", flag,
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    assert prompts_of(tmp_path / "eval") == measured
    assert {r.record.spec.task_hash for r in stored(tmp_path / "eval")} == {record.spec.task_hash}


@pytest.mark.parametrize("model", ["decoder", "encoder-decoder"])
def test_max_length_is_a_shorter_context_also_for_models_without_limit(
    tasks: Path, tmp_path: Path, model: str
):
    """T5 has no limit of its own. 12 tokens hold the usual prompts and six new tokens, or each of them."""
    where = ("--task", "tiny", "--include-path", tasks, "--models", model, "--methods", "sft")
    ask = ("train-and-eval", *where, "--strengths", "2", *SMALL, "--max-length", "12")
    refused = invoke(*ask, "--output-path", tmp_path / "refused")
    assert refused.exit_code == 2
    assert "don't fit --max-length 12 with 6 new tokens" in " ".join(refused.output.split())
    ended = invoke(*ask, "--truncate", "--output-path", tmp_path / "run")
    assert ended.exit_code == 0, ended.output
    measured = prompts_of(tmp_path / "run")
    words = 12 if model == "encoder-decoder" else 6
    assert LONG.endswith(measured["long"])
    assert len(measured["long"].split()) <= words
    record = next(r.record for r in stored(tmp_path / "run") if r.record.spec.strength is not None)
    assert "--max-length 12" in (record.command or "")


@pytest.mark.parametrize("method", ["grpo(group_size=2)", "kto(rounds=2,samples=4)"])
def test_max_length_binds_the_prompts_that_are_sampled_from_too(tmp_path: Path, method: str):
    """T5 has no limit; the long training prompt is dropped from rows and from rollouts alike."""
    folder = tiny_task(tmp_path / "tiny", encoder_decoder=True)
    file = folder / "train.jsonl"
    row = json.loads(file.read_text().splitlines()[0])
    file.write_text(file.read_text() + json.dumps({**row, "prompt": LONG}) + "\n")
    ended = invoke(
        "train-and-eval", "--task", folder, "--models", "encoder-decoder", "--methods", method,
        "--strengths", "0.1", *SMALL, "--max-length", "12", "--drop-long", "--output-path", tmp_path / "out",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    (log,) = (tmp_path / "out" / "work" / "logs").glob(f"{method.partition('(')[0]}*.log")
    assert "1 of 9 prompts leave no room for a response" in log.read_text()
