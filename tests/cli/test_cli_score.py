"""``rpo-bench score``: metrics are added to stored samples afterwards, beside those that are there."""

import json
from pathlib import Path

import pytest
from results_factory import cell_spec, write_cell
from run_cli import invoke

from rpo_bench.files.hashing import hash_file
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.results.samples import StoredSample
from rpo_bench.results.store import read_record, read_scores

REWARD = '''
def shouting(prompts, responses):
    """The number of exclamation marks; nothing for an empty text."""
    return [r.count("!") if r else None for r in responses]
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A result of 24 prompts × 2 samples with their texts; one of them is empty."""
    found = write_cell(tmp_path / "results", cell_spec())
    samples = [
        StoredSample(
            prompt_id=f"p{p:03}",
            prompt=f"question {p}",
            sample=n,
            text="" if (p, n) == (0, 0) else "no" + "!" * n,
            finished=True,
            token_ids=(1, 2, 3),
        )
        for p in range(24)
        for n in range(2)
    ]
    write_json_lines(found / "samples.jsonl.gz", samples)
    return found


@pytest.fixture
def reward(tmp_path: Path) -> Path:
    file = tmp_path / "shouting.py"
    file.write_text(REWARD)
    return file


def test_a_reward_is_added_beside_the_others(folder: Path, reward: Path):
    """Samples 0 shout 0 times, samples 1 once; p000's first is empty, so its mean is 1 and the others' ½."""
    before = read_record(folder)
    ended = invoke("score", folder.parents[2], "--reward", f"python:{reward}:shouting", "--as", "shouting")
    assert ended.exit_code == 0, ended.output
    assert "rpo-0.3-0" in ended.stdout
    assert "1 of 1 results have new metrics." in ended.stdout
    after = read_record(folder)
    assert set(after.metrics) - set(before.metrics) == {"shouting"}
    assert after.metrics["reward"] == before.metrics["reward"]
    value = after.metrics["shouting"]
    assert value.interval.point == pytest.approx((1 + 23 * 0.5) / 24)
    assert (value.scored, value.unscored) == (47, {"shouting (shouting.py) returned None": 1})
    assert after.hashes["scores"] == hash_file(folder / "scores.jsonl.gz")
    first, second = read_scores(folder)[:2]
    assert (first.scores["shouting"], second.scores["shouting"]) == (None, 1.0)
    assert "reward" in first.scores
    assert "shouting" in first.unscored


def test_what_is_there_is_kept_unless_it_is_to_be_overwritten(folder: Path, reward: Path):
    asked = ("score", folder, "--reward", f"python:{reward}:shouting", "--as", "reward")
    before = (folder / "result.json").read_bytes()
    assert "0 of 1 results have new metrics." in invoke(*asked).stdout
    assert (folder / "result.json").read_bytes() == before
    assert "1 of 1 results" in invoke(*asked, "--overwrite").stdout
    assert read_record(folder).metrics["reward"].interval.point == pytest.approx((1 + 23 * 0.5) / 24)


def test_families_of_plug_ins_run_by_name_and_all_by_default(folder: Path):
    assert invoke("score", folder, "--metrics", "diversity").exit_code == 0
    assert "distinct_1" in read_record(folder).metrics
    assert "repetition" not in read_record(folder).metrics
    assert invoke("score", folder).exit_code == 0
    assert "repetition" in read_record(folder).metrics
    unknown = invoke("score", folder, "--metrics", "diversty")
    assert unknown.exit_code == 2
    assert "diversity" in unknown.stderr


def test_old_records_are_written_at_the_present_version(folder: Path, monkeypatch):
    file = folder / "result.json"
    value = json.loads(file.read_text())
    file.write_text(json.dumps({**value, "schema_version": 0}))
    monkeypatch.setattr("rpo_bench.results.upgrade.UPGRADES", {0: lambda old: old})
    assert invoke("score", folder, "--metrics", "diversity").exit_code == 0
    assert json.loads(file.read_text())["schema_version"] == 1


def test_results_that_cannot_be_scored_are_named_and_the_rest_go_on(folder: Path, reward: Path):
    other = write_cell(folder.parents[2], cell_spec(seed=1))  # without samples
    write_cell(folder.parents[2], cell_spec(seed=2), status="diverged")
    ended = invoke("score", folder.parents[2], "--reward", f"python:{reward}:shouting")
    assert ended.exit_code == 1
    assert f"Skipped: {other}" in ended.stderr
    assert "there is no such file" in ended.stderr
    assert "1 of 3 results have new metrics." in ended.stdout
    assert "proxy_reward" in read_record(folder).metrics


def test_scores_of_other_samples_are_not_mixed(folder: Path, reward: Path):
    lines = read_scores(folder)
    write_json_lines(folder / "scores.jsonl.gz", lines[:-1])
    ended = invoke("score", folder, "--reward", f"python:{reward}:shouting")
    assert ended.exit_code == 1
    assert "doesn't match the samples" in ended.stderr


def test_nothing_to_score_is_said(tmp_path: Path):
    ended = invoke("score", tmp_path)
    assert ended.exit_code == 2
    assert "no usable results here" in ended.stderr


@pytest.mark.parametrize("family", ["reward", "toxicity"])
def test_a_family_that_needs_to_be_told_by_what_says_so(family: str, folder: Path):
    done = invoke("score", folder, "--metrics", family)
    assert done.exit_code == 2
    assert done.stderr == f"--metrics {family}: choose one with --{family}.\n"
