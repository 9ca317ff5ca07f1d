"""What a contributed folder of results has to be, each rule broken once."""

import json
import shutil
from pathlib import Path

import pytest
from results_factory import cell_spec, record_of, scores_of, write_cell, write_world
from run_cli import invoke

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_file
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.results.samples import StoredSample
from rpo_bench.results.schema import Environment
from rpo_bench.results.store import cell_folder, read_results, read_samples, write_record
from rpo_bench.spec.sections import MethodSpec
from rpo_bench.submit.check import check_submission
from rpo_bench.submit.contents import contents

RESULTS = Path(__file__).parents[2] / "results"

CLEAN = Environment(
    git_commit="f" * 40, git_dirty=False, packages={"torch": "2.9.0"}, python="3.11", platform="Linux",
    processor="cpu", device="cpu", dtype="float32", threads=1,
)  # fmt: skip


def contribute(root, spec, **changes):
    """A whole, honest result: samples of every prompt, hashes of its files."""
    folder = write_cell(root, spec)
    shape = scores_of(spec)["reward"].shape
    samples = [
        StoredSample(prompt_id=f"p{p:03}", prompt="?", sample=n, text=f"{p} {n}", finished=True, token_ids=())
        for p in range(shape[0])
        for n in range(shape[1])
    ]
    write_json_lines(folder / "samples.jsonl.gz", samples)
    record = record_of(spec, **{"environment": CLEAN, **changes})
    metrics = {
        name: metric.model_copy(update={"scored": len(samples)}) for name, metric in record.metrics.items()
    }
    files = {"samples": "samples.jsonl.gz", "scores": "scores.jsonl.gz", "train_log": "train_log.jsonl.gz"}
    hashes = {name: hash_file(folder / file) for name, file in files.items()}
    write_record(folder, record.model_copy(update={"metrics": metrics, "hashes": hashes}))
    return folder


@pytest.fixture
def baselines(tmp_path):
    return write_world(tmp_path / "results", ["sft"], seeds=2, strengths=(0.3,))


@pytest.fixture
def mine(baselines):
    """Three seeds of one method, whole and honest."""
    root = baselines / "community" / "ada"
    for seed in range(3):
        contribute(root, cell_spec("rpo", 0.3, seed))
    return root


def one_of(mine):
    return sorted(mine.glob("civil_qa/decoder/*"))[0]


def rewrite(folder, change):
    file = folder / "result.json"
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))


def not_ok(mine, baselines, **settings):
    """Name → check, of those that aren't fine."""
    checks = check_submission(mine, baselines, **settings).checks
    return {check.name: check for check in checks if check.status != "ok"}


def test_whole_and_honest_results_pass(mine, baselines):
    report = check_submission(mine, baselines)
    assert report.passed
    assert {check.name: check.findings for check in report.checks if check.status != "ok"} == {}
    assert report.records == 3


def test_a_broken_record_and_a_cell_given_twice_fail(mine, baselines):
    shutil.copytree(one_of(mine), mine / "civil_qa" / "decoder" / "copy")
    (mine / "civil_qa" / "decoder" / "x").mkdir()
    (mine / "civil_qa" / "decoder" / "x" / "result.json").write_text("{")
    found = not_ok(mine, baselines)["records"]
    assert found.status == "failed"
    assert any("not JSON" in text for text in found.findings)
    assert any("the same cell again" in text for text in found.findings)


def test_a_result_in_another_place_fails(mine, baselines):
    place = one_of(mine)
    place.rename(mine / place.name)
    assert "belongs to civil_qa/decoder/rpo-0.3-0-" in not_ok(mine, baselines)["layout"].findings[0]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("samples.jsonl.gz", "samples.jsonl.gz is missing"),
        ("scores.jsonl.gz", "scores.jsonl.gz is missing"),
        ("train_log.jsonl.gz", "train_log.jsonl.gz is missing"),
    ],
)
def test_a_missing_file_fails(mine, baselines, file, reason):
    (one_of(mine) / file).unlink()
    assert not_ok(mine, baselines)["files"].findings[0].endswith(reason)


def test_samples_that_were_exchanged_fail(mine, baselines):
    samples = read_samples(one_of(mine))
    better = [one.model_copy(update={"text": "better"}) for one in samples]
    write_json_lines(one_of(mine) / "samples.jsonl.gz", better)
    assert "isn't the file that the record describes" in not_ok(mine, baselines)["files"].findings[0]


def test_too_few_samples_fail(mine, baselines):
    write_json_lines(one_of(mine) / "samples.jsonl.gz", read_samples(one_of(mine))[:-1])
    findings = " ".join(not_ok(mine, baselines)["samples"].findings)
    assert "47 samples of 24 prompts, expected 2 of each" in findings
    assert "1 scores have no sample" in findings
    assert "reward counts 48 samples, but 47 are stored" in findings


@pytest.mark.parametrize("name", ["reward", "kl"])
def test_a_metric_that_was_polished_fails(mine, baselines, name):
    def polish(value):
        value["metrics"][name]["interval"]["point"] += 0.01

    rewrite(one_of(mine), polish)
    (finding,) = not_ok(mine, baselines)["metrics"].findings
    assert f"{name} is " in finding


def test_a_kl_that_is_not_its_tokens_fails(mine, baselines):
    tokens = {"token_ids": (1,), "policy_logps": (-1.0,), "reference_logps": (-5.0,)}
    samples = [one.model_copy(update=tokens) for one in read_samples(one_of(mine))]
    write_json_lines(one_of(mine) / "samples.jsonl.gz", samples)
    assert "kl of 48 samples isn't the log-ratio" in not_ok(mine, baselines)["metrics"].findings[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task_hash": "9" * 64}, "they are of different versions of the task"),
        ({"model_hash": "9" * 64}, "they have different reference policies"),
    ],
)
def test_results_that_cannot_be_compared_fail(baselines, changes, reason):
    contribute(baselines / "community" / "ada", cell_spec("rpo", 0.3, 0, **changes))
    found = not_ok(baselines / "community" / "ada", baselines)["comparable"]
    assert found.status == "failed"
    assert reason in found.findings[0]


def test_other_decoding_fails(mine, baselines):
    spec = cell_spec("rpo", 0.3, 7)
    decoding = spec.evaluation.decoding.model_copy(update={"temperature": 0.7})
    evaluation = spec.evaluation.model_copy(update={"decoding": decoding})
    contribute(mine, spec.model_copy(update={"evaluation": evaluation}))
    assert "decoding temperature differs (0.7 and 1.0)" in not_ok(mine, baselines)["comparable"].findings[0]


def test_a_new_task_is_a_warning(baselines):
    contribute(baselines / "community" / "ada", cell_spec("rpo", 0.3, 0, task="mine"))
    found = not_ok(baselines / "community" / "ada", baselines)["comparable"]
    assert (found.status, found.findings) == ("warning", ("mine with decoder has no published baseline",))


def test_a_published_cell_is_a_warning(mine, baselines):
    contribute(mine, cell_spec("sft", 0.3, 0))
    assert not_ok(mine, baselines)["new"].status == "warning"


def test_uncommitted_code_warns_and_unknown_code_fails(mine, baselines):
    rewrite(one_of(mine), lambda value: value["environment"].update(git_dirty=True))
    assert not_ok(mine, baselines)["clean"].status == "warning"
    rewrite(one_of(mine), lambda value: value["environment"].update(git_commit=None))
    assert not_ok(mine, baselines)["commit"].status == "failed"


def test_few_seeds_and_foreign_methods_warn(baselines):
    root = baselines / "community" / "ada"
    spec = cell_spec("rpo", 0.3, 0)
    contribute(root, spec.model_copy(update={"method": MethodSpec(name="my-own")}))
    found = not_ok(root, baselines)
    assert found["seeds"].findings == ("my-own at 0.3 on civil_qa with decoder: 1",)
    assert found["methods"].findings == ("my-own",)
    assert {check.status for check in found.values()} == {"warning"}


def test_too_large_a_folder_fails(mine, baselines):
    assert not_ok(mine, baselines, max_mb=0.001)["size"].status == "failed"


def test_oracles_beside_the_results_are_nobodys_contribution(mine, baselines):
    small = check_submission(mine, baselines)
    oracle = mine / "civil_qa" / "decoder" / "oracle" / "abc.npz"
    oracle.parent.mkdir(parents=True)
    oracle.write_bytes(bytes(6_000_000))
    sizes = [
        {c.name: c for c in report.checks}["size"] for report in (small, check_submission(mine, baselines))
    ]
    assert sizes[0].said == sizes[1].said
    assert sizes[1].status == "ok"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rpo-bench eval /home/ada/checkpoints/1", "the path /home/ada/checkpoints/1"),
        ("rpo-bench eval ~/runs/1", "the path ~/runs/1"),
        ("rpo-bench eval C:\\Users\\ada\\1", "the path C:"),
        ("rpo-bench eval x --key sk-abcdefghijklmnopqrstuv", "a possible key, sk-abc…: revoke it"),
        ("rpo-bench eval x --token hf_abcdefghijklmnopqrstuv", "a possible key, hf_abc…: revoke it"),
    ],
)
def test_places_and_keys_of_a_machine_are_found(mine, baselines, text, told):
    rewrite(one_of(mine), lambda value: value.update(command=text))
    found = not_ok(mine, baselines)["privacy"]
    assert found.status == "failed"
    assert told in found.findings[0]
    assert "abcdefghijkl" not in " ".join(found.findings)


def test_the_account_and_the_machine_are_found_as_whole_words(mine, baselines, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "lovelace")
    monkeypatch.setattr("socket.gethostname", lambda: "vela")
    rewrite(one_of(mine), lambda value: value.update(command="run by lovelace on velar"))
    (finding,) = not_ok(mine, baselines)["privacy"].findings
    assert finding.endswith("result.json: the name lovelace")


def test_web_addresses_and_relative_paths_are_no_places_of_a_machine(mine, baselines):
    text = "rpo-bench eval runs/home/x --base-url https://example.org/data/v1 --strengths 1/2"
    rewrite(one_of(mine), lambda value: value.update(command=text))
    assert "privacy" not in not_ok(mine, baselines)


def test_a_diverged_run_needs_no_samples(mine, baselines):
    spec = cell_spec("rpo", 0.3, 8)
    folder = write_cell(mine, spec, status="diverged", environment=CLEAN)
    hashes = {"train_log": hash_file(folder / "train_log.jsonl.gz")}
    write_record(folder, record_of(spec, status="diverged", environment=CLEAN, hashes=hashes))
    assert check_submission(mine, baselines).passed


def test_what_a_judge_says_counts_questions_and_not_samples(mine, baselines):
    def judged(questions):
        def change(value):
            value["metrics"]["win_rate"] = {
                "interval": {"point": 0.5, "method": "bootstrap", "levels": ["questions"], "n": questions},
                "scored": questions - 1,
                "unscored": {"no verdict": 1},
            }

        return change

    rewrite(one_of(mine), judged(24))
    assert check_submission(mine, baselines).passed
    rewrite(one_of(mine), judged(25))
    (finding,) = not_ok(mine, baselines)["samples"].findings
    assert finding.endswith("win_rate counts 25 questions, but there are 24 prompts")


def test_a_checkpoint_that_was_only_measured_has_no_training_log(mine, baselines):
    folder = one_of(mine)
    (folder / "train_log.jsonl.gz").unlink()

    def measured(value):
        del value["hashes"]["train_log"]
        value["command"] = "rpo-bench eval my-checkpoint"

    rewrite(folder, measured)
    assert check_submission(mine, baselines).passed


def test_the_published_results_pass(baselines):
    records = read_results(RESULTS).records
    assert {check.status for check in contents(records[::40], RESULTS)} == {"ok"}
    report = check_submission(baselines, baselines)  # the published ones stand beside no others
    assert {c.name: c.status for c in report.checks if c.name in ("comparable", "new", "size")} == {
        "comparable": "ok", "new": "ok", "size": "ok",
    }  # fmt: skip


def test_nothing_to_check_is_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="there are no results here"):
        check_submission(tmp_path / "empty", None)
    with pytest.raises(UserError, match="there is no such folder"):
        check_submission(tmp_path / "nowhere", None)


def test_the_command_line_prints_a_list_and_exits_by_it(mine, baselines):
    done = invoke("submit", "check", mine, "--against", baselines)
    assert done.exit_code == 0
    assert "✓ metrics: the metrics are the means of the stored scores" in done.stdout
    assert done.stdout.strip().endswith("3 results in " + str(mine) + ". Ready to send.")
    (one_of(mine) / "samples.jsonl.gz").unlink()
    done = invoke("submit", "check", mine, "--against", baselines)
    assert done.exit_code == 1
    assert "✗ files: files that are missing or don't match their records: 1" in done.stdout
    assert "→ copy complete result folders" in done.stdout


def test_the_command_line_prints_json(mine, baselines):
    value = json.loads(invoke("submit", "check", mine, "--against", baselines, "--json").stdout)
    assert value["passed"] is True
    assert {"records", "files", "metrics", "comparable", "privacy"} <= {
        one["name"] for one in value["checks"]
    }
    assert cell_folder(mine, cell_spec("rpo", 0.3, 0)).is_dir()
