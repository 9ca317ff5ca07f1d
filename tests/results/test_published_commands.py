"""Every published row carries the command that makes it again: it parses, and plans that cell.

The rows are of version 1 of civil_qa. Today's code plans the same cell on today's version; the commit on
record plans the very same.
"""

import json
import shlex
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pytest
import typer
from run_cli import invoke

from rpo_bench.engine.inputs.choices import choose
from rpo_bench.engine.plan.cells import planned_cells
from rpo_bench.engine.plan.plan import PlanContext, plan_run
from rpo_bench.results.command_line import judged_command
from rpo_bench.results.store import read_results
from rpo_bench.spec.command import Given, train_and_eval_command
from rpo_bench.spec.trust import Trust

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


def test_a_command_of_each_method_plans_its_cell(records, monkeypatch, tmp_path):
    """By turns on one base model and the other; what specs have in common is planned once."""
    methods = sorted({record.spec.method.label for record in records})
    turns = {(method, ("decoder", "encoder-decoder")[i % 2]) for i, method in enumerate(methods)}
    chosen = {
        key: record
        for record in reversed(records)
        if (key := (record.spec.method.label, record.spec.model)) in turns
    }
    assert len(chosen) == len(methods) == 17
    asked = asked_for([record.command for record in chosen.values()], monkeypatch, tmp_path)
    alike = sorted(zip(map(rest, asked), asked, chosen.values(), strict=True), key=itemgetter(0))
    for _, group in groupby(alike, key=itemgetter(0)):
        _, specs, wanted = zip(*group, strict=True)
        plan = plan_run(together(specs), PlanContext(tmp_path / "work"))
        for spec, record in zip(specs, wanted, strict=True):
            assert settings(record.spec) in own_cells(spec, plan), record.command


def settings(cell):
    """All of a cell's identity but the content of task, rows and base model."""
    content = ("task_hash", "data_hash", "world_hash", "model_hash", "model_path")
    return json.dumps(cell._without(*content), sort_keys=True)


def own_cells(spec, plan):
    """The settings of the cells that a spec plans by itself, with the materials of a plan that holds it."""
    references = [cell for cell in plan.cells if cell.spec.strength is None]
    task_hash = references[0].spec.task_hash
    own = [
        cell
        for model in plan.models
        for choice in choose(spec)
        for cell in planned_cells(spec, plan.task, task_hash, plan.data[model.name], model, choice)
    ]
    return {settings(cell.spec) for cell in [*references, *own]}


def asked_for(commands, monkeypatch, tmp_path):
    """The specs of command lines, as train-and-eval hands them on to be planned."""
    specs = []

    def handed_on(spec, *_):
        specs.append(spec)
        raise typer.Exit

    monkeypatch.setattr("rpo_bench.engine.run.plan_only", handed_on)
    for number, command in enumerate(commands, start=1):
        done = invoke(*shlex.split(command)[1:], "--dry-run", "--output-path", tmp_path / "out")
        assert (done.exit_code, len(specs)) == (0, number), (command, done.output)
    return specs


def rest(spec):
    """All of a spec but which cells there are."""
    return spec.model_dump_json(exclude={"methods", "strengths", "seeds"})


def together(specs):
    """The cells of specs that are alike in all else."""
    methods, strengths = {}, {}
    for spec in specs:
        for method in spec.methods:
            methods[method.label] = method
            values = spec.strengths.get(method.name, spec.strengths.get("*"))
            strengths[method.name] = tuple(dict.fromkeys((*strengths.get(method.name, ()), *values)))
    seeds = tuple({seed for spec in specs for seed in spec.seeds})
    return specs[0].model_copy(
        update={"methods": tuple(methods.values()), "strengths": strengths, "seeds": seeds}
    )
