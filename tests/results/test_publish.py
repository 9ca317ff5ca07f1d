"""Published results are smaller, and say the same."""

import json

import numpy as np
import pytest
from results_factory import cell_spec, record_of, write_cell
from run_cli import invoke

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_file
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.results.publish import publish
from rpo_bench.results.samples import ScoreLine, StoredSample
from rpo_bench.results.store import read_results, read_samples, read_scores, read_train_log

CLEAN = record_of(cell_spec()).environment.model_copy(update={"git_dirty": False})


@pytest.fixture
def run(tmp_path):
    """One whole result with two samples, of which one couldn't be scored for toxicity."""
    spec = cell_spec().model_copy(update={"model_path": "/somewhere/models/tiny"})
    folder = write_cell(tmp_path / "run" / "results", spec, environment=CLEAN)
    sample = {"prompt_id": "p0", "prompt": "Hi?", "finished": True}
    said = {"token_ids": (5, 1), "policy_logps": (-1.0, -0.5), "reference_logps": (-2.0, -0.5)}
    texts = [StoredSample(**sample, **said, sample=n, text=f"answer {n}") for n in (0, 1)]
    write_json_lines(folder / "samples.jsonl.gz", texts)
    scores = [{"reward": 0.123456789, "proxy_gap": 0.5}, {"reward": -1.0, "toxicity": None}]
    lines = [ScoreLine(prompt_id="p0", sample=n, scores=s) for n, s in enumerate(scores)]
    write_json_lines(folder / "scores.jsonl.gz", lines)
    return tmp_path / "run"


def published(run, into):
    (stored,) = read_results(run).records
    return stored, publish(stored, into)


def test_metrics_stay_and_the_machine_goes(run, tmp_path):
    stored, done = published(run, tmp_path / "out")
    (there,) = read_results(tmp_path / "out").records
    assert there.folder == done.folder
    assert there.record.metrics == stored.record.metrics
    assert there.record.cell == stored.record.cell
    assert all(
        "/somewhere" not in file.read_text()
        for file in done.folder.glob("*.[jy]*l*")
        if "gz" not in file.name
    )
    assert there.record.spec.model_path == there.record.spec.model


def test_texts_stay_and_token_data_goes(run, tmp_path):
    _, done = published(run, tmp_path / "out")
    samples = read_samples(done.folder)
    assert [s.text for s in samples] == ["answer 0", "answer 1"]
    assert all(s.token_ids == () and s.policy_logps is None and s.reference_logps is None for s in samples)


def test_scores_are_rounded_and_lose_what_follows_from_the_others(run, tmp_path):
    _, done = published(run, tmp_path / "out")
    assert [line.scores for line in read_scores(done.folder)] == [
        {"reward": 0.1235},
        {"reward": -1.0, "toxicity": None},
    ]


def test_the_log_keeps_every_step_at_five_digits(run, tmp_path):
    stored, done = published(run, tmp_path / "out")
    before, after = read_train_log(stored.folder), read_train_log(done.folder)
    assert [row["step"] for row in after] == [row["step"] for row in before]
    np.testing.assert_allclose([r["loss"] for r in after], [r["loss"] for r in before], rtol=1e-4)


def test_hashes_are_those_of_the_files_beside_and_the_originals_are_kept(run, tmp_path):
    stored, done = published(run, tmp_path / "out")
    record = read_results(tmp_path / "out").records[0].record
    assert record.hashes["scores"] == hash_file(done.folder / "scores.jsonl.gz")
    assert record.extra["published"] == {"scores": stored.record.hashes["scores"]}


def test_publishing_again_gives_the_same_bytes(run, tmp_path):
    _, done = published(run, tmp_path / "out")
    before = {file.name: file.read_bytes() for file in done.folder.iterdir()}
    published(run, tmp_path / "out")
    assert {file.name: file.read_bytes() for file in done.folder.iterdir()} == before


def test_a_policy_that_diverged_is_published_without_samples(tmp_path):
    write_cell(tmp_path / "run" / "results", cell_spec(), status="diverged", environment=CLEAN)
    _, done = published(tmp_path / "run", tmp_path / "out")
    assert read_results(tmp_path / "out").records[0].record.status == "diverged"
    assert not (done.folder / "samples.jsonl.gz").exists()


def test_results_of_uncommitted_code_are_refused(tmp_path):
    dirty = CLEAN.model_copy(update={"git_dirty": True})
    write_cell(tmp_path / "run" / "results", cell_spec(), environment=dirty)
    with pytest.raises(UserError, match="uncommitted changes"):
        published(tmp_path / "run", tmp_path / "out")


def test_the_verb_tells_sizes_and_holds_the_budget(run, tmp_path):
    done = invoke("publish", run, "--into", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("1 results, 0.0 MB")
    over = invoke("publish", run, "--into", tmp_path / "out", "--max-mb", "0.001")
    assert over.exit_code == 2
    assert "more than --max-mb 0.001" in over.stderr


def test_broken_results_are_named_and_the_rest_published(run, tmp_path):
    folder = write_cell(run / "results", cell_spec(seed=1), environment=CLEAN)
    (folder / "result.json").write_text("{")
    done = invoke("publish", run, "--into", tmp_path / "out")
    assert done.exit_code == 1
    assert "Skipped" in done.stderr
    assert len(read_results(tmp_path / "out").records) == 1


def test_nothing_to_publish_is_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    done = invoke("publish", tmp_path / "empty", "--into", tmp_path / "out")
    assert (done.exit_code, "no usable results here" in done.stderr) == (2, True)


def test_comparisons_need_no_more_than_what_is_published(tmp_path):
    """Paired differences come from the published scores: four decimals instead of nine digits."""
    for name in ("sft", "rpo"):
        for seed in (0, 1, 2):
            write_cell(tmp_path / "run" / "results", cell_spec(name, 0.3, seed), environment=CLEAN)
    invoke("publish", tmp_path / "run", "--into", tmp_path / "out")
    before, after = (differences(tmp_path / where) for where in ("run", "out"))
    assert len(before) >= 4
    np.testing.assert_allclose(after, before, atol=1e-3)


def differences(results):
    """The points of all paired differences that ``compare`` finds."""
    done = invoke("compare", results, "--format", "json")
    assert done.exit_code == 0, done.output
    (section,) = json.loads(done.stdout)["sections"]
    return [comparison["difference"]["point"] for comparison in section["comparisons"]]
