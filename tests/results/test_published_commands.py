"""Every published row carries the command that makes it again: it parses, and plans exactly that cell."""

import shlex
from pathlib import Path

import pytest
from run_cli import invoke

from rpo_bench.engine.base_models import Trust
from rpo_bench.engine.command import Given, train_and_eval_command
from rpo_bench.results.command_line import judged_command
from rpo_bench.results.store import read_results

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture(scope="module")
def records():
    return [stored.record for stored in read_results([RESULTS]).records]


def test_a_command_is_that_of_its_spec_with_what_its_win_rates_take(records):
    """The embedded judge compared 144 prompts, against the reference policy and against SFT."""
    assert len(records) == 482
    how = {"": {"flags": {"--judge": "embedded", "--judge-prompts": 144}}}
    for record in records:
        given = Given(record.spec.task, record.spec.model, None, Trust())
        rates = [one for name, one in record.metrics.items() if name.startswith("win_rate")]
        own = train_and_eval_command(record.spec, given)
        assert record.command == judged_command(own, how, rates), record.cell


@pytest.mark.slow
def test_a_command_of_each_method_plans_its_cell(records, monkeypatch, tmp_path):
    """By turns on one base model and the other."""
    planned = []
    monkeypatch.setattr(
        "rpo_bench.cli.dry_run.print_plan",
        lambda plan, *_: planned.append({cell.spec.hash for cell in plan.cells}),
    )
    methods = sorted({record.spec.method.label for record in records})
    turns = {(method, ("decoder", "encoder-decoder")[i % 2]) for i, method in enumerate(methods)}
    chosen = {
        key: record
        for record in reversed(records)
        if (key := (record.spec.method.label, record.spec.model)) in turns
    }
    assert len(chosen) == len(methods) == 17
    for record in chosen.values():
        done = invoke(*shlex.split(record.command)[1:], "--dry-run", "--output-path", tmp_path / "out")
        assert done.exit_code == 0, (record.command, done.output)
        assert record.cell in planned.pop(), record.command
        assert planned == []
