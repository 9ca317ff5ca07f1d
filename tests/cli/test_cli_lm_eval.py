"""``--lm-eval-tasks`` in a run, ``compare`` of its documents, and ``export`` in lm-eval's shape."""

import json

import pytest
from needed import needed
from run_cli import SMALL, invoke, stored
from tiny_task import tiny_task

needed("lm_eval", "lm-eval isn't installed")

DOCS = """
def documents(**_):
    from datasets import Dataset
    words = ["cat", "dog", "house", "river", "city", "red", "blue", "green", "good", "bad"]
    docs = [{"prompt": f"what is the {w} ?", "choices": ["yes", "no", "maybe"], "gold": i % 3}
            for i, w in enumerate(words * 2)]
    return {"test": Dataset.from_list(docs)}
"""
TASK = """
task: tiny_choice
custom_dataset: !function docs.documents
test_split: test
output_type: multiple_choice
doc_to_text: "{{prompt}}"
doc_to_choice: "{{choices}}"
doc_to_target: gold
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 3}
"""
FLAGS = ("--lm-eval-tasks", "tiny_choice")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    root = tmp_path_factory.mktemp("tasks")
    folder = tiny_task(root / "tiny") / "lm_eval"
    folder.mkdir()
    (folder / "docs.py").write_text(DOCS)
    (folder / "tiny.yaml").write_text(TASK)
    return root


def run(tasks, out, *more):
    where = ("--task", "tiny", "--include-path", tasks, "--output-path", out)
    return invoke("train-and-eval", *where, "--methods", "sft", "--strengths", "1", *SMALL, *more)


@pytest.mark.slow
def test_before_and_after_training_with_paired_differences(tasks, tmp_path):
    out = tmp_path / "out"
    rate = ("--learning-rate", "0.05")
    assert run(tasks, out, *rate).exit_code == 0
    before = {s.record.cell: s.record.metrics for s in stored(out)}
    done = run(tasks, out, *rate, *FLAGS)
    assert done.exit_code == 0, done.output
    assert "lm-eval: 2 models measured" in done.stderr
    found = {s.record.spec.method.name: s for s in stored(out)}
    assert set(before) == {s.record.cell for s in found.values()}, "the cells' identities are as they were"
    reference, trained = (found[name].record for name in ("reference", "sft"))
    assert "alignment_tax/tiny_choice/acc" not in reference.metrics
    earlier, later = (r.metrics["lm_eval/tiny_choice/acc"].interval.point for r in (reference, trained))
    tax = trained.metrics["alignment_tax/tiny_choice/acc"]
    assert tax.interval.point == pytest.approx(earlier - later)
    assert tax.interval.n == 20
    assert trained.metrics["reward"] == before[trained.cell]["reward"]
    assert trained.extra["lm_eval"]["tiny_choice"]["version"] == 3
    assert trained.command.endswith("--lm-eval-tasks tiny_choice")

    file = found["sft"].folder / "result.json"
    written = file.read_bytes()
    again = run(tasks, out, *rate, *FLAGS)
    assert "models measured" not in again.stderr
    assert file.read_bytes() == written

    compared = invoke(
        "compare", found["sft"].folder, found["reference"].folder, "--format", "json",
        "--metrics", "reward,lm_eval/tiny_choice/acc",
    )  # fmt: skip
    assert compared.exit_code == 0, compared.output
    (section,) = json.loads(compared.stdout)["sections"]
    (one,) = [c for c in section["comparisons"] if c["metric"] == "lm_eval/tiny_choice/acc"]
    assert one["wins"] + one["ties"] + one["losses"] == 20
    assert one["difference"]["point"] == pytest.approx(later - earlier)
    assert section["prompts"] == 6

    exported = invoke("export", out, "--to", "lm-eval", tmp_path / "shape")
    assert exported.exit_code == 0, exported.output
    folder = tmp_path / "shape" / f"tiny__decoder__{trained.spec.name}"
    shape = json.loads((folder / "results_stored.json").read_text())
    assert shape["results"]["tiny_choice"]["acc,none"] == later
    assert shape["results"]["tiny"]["reward,none"] == trained.metrics["reward"].interval.point
    assert shape["results"]["tiny"]["reward_stderr,none"] > 0
    assert shape["versions"]["tiny_choice"] == 3
    lines = (folder / "samples_tiny_stored.jsonl").read_text().splitlines()
    assert len(lines) == 12
    assert set(json.loads(lines[0])) >= {"doc_id", "doc", "arguments", "resps", "filtered_resps", "reward"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--lm-eval-limit", "3"), "need --lm-eval-tasks"),
        (("--lm-eval-tasks", "broken"), "broken.yaml can't be read"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is_trained(tasks, tmp_path, flags, message):
    (tasks / "tiny/lm_eval/broken.yaml").write_text("task: broken\n  output_type: [")
    done = run(tasks, tmp_path / "out", *flags)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "out/results").exists()


def test_export_needs_somewhere_to_write_to(tmp_path):
    done = invoke("export", tmp_path)
    assert (done.exit_code, "export needs RESULTS and a target folder" in done.stderr) == (2, True)
