"""Results are validated when read; what can't be used is named with its reason, and the rest go on."""

import json
import shutil

import pytest
from results_factory import cell_spec, record_of, write_cell, write_world

from rpo_bench.errors import UserError
from rpo_bench.results.store import (
    BrokenRecord,
    cell_folder,
    read_record,
    read_results,
    read_scores,
    read_train_log,
    write_record,
)


@pytest.fixture
def results(tmp_path):
    """Two whole results, of seeds 0 and 1."""
    root = tmp_path / "results"
    for seed in (0, 1):
        write_cell(root, cell_spec(seed=seed))
    return root


def edit(folder, **changes):
    """Changes fields of a stored record."""
    file = folder / "result.json"
    value = json.loads(file.read_text())
    file.write_text(json.dumps({**value, **changes}))


def test_a_record_reads_back_as_it_was_written(tmp_path):
    record = record_of(cell_spec())
    write_record(tmp_path / "cell", record)
    assert read_record(tmp_path / "cell") == record


def test_non_finite_numbers_are_written_as_null(tmp_path):
    write_record(tmp_path, record_of(cell_spec(), stability={"loss_dispersion": float("nan")}))
    assert json.loads((tmp_path / "result.json").read_text())["stability"] == {"loss_dispersion": None}


def test_scores_and_log_of_a_result_read_back(results):
    folder = cell_folder(results, cell_spec())
    scores = read_scores(folder)
    assert (scores[0].prompt_id, scores[0].sample) == ("p000", 0)
    assert len(scores) == 24 * 2
    assert [entry["step"] for entry in read_train_log(folder)] == list(range(1, 61))


def test_a_policy_that_was_not_trained_has_an_empty_log(tmp_path):
    assert read_train_log(write_cell(tmp_path, cell_spec("reference", None))) == []


def test_everything_under_a_folder_is_found_in_an_order_of_its_own(tmp_path):
    found = read_results(write_world(tmp_path / "results", ["rpo"], seeds=2))
    assert len(found.records) == 1 + 3 * 2
    assert [str(one.folder) for one in found.records] == sorted(str(one.folder) for one in found.records)
    assert (found.broken, found.duplicates) == ((), ())


BROKEN = {
    "cut short": (lambda text: text[:200], "result.json is not JSON"),
    "empty": (lambda text: "", "result.json is not JSON"),
    "not a number": (lambda text: text.replace("100000", "NaN"), "NaN is not JSON"),
    "not UTF-8": (lambda text: b"\xff\xfe{}", "result.json is not JSON"),
    "nested too deep": (lambda text: "[" * 100_000, "result.json is not JSON"),
    "of another programme": (lambda text: '{"results": {"arc": 0.5}}', "it has no 'schema_version'"),
    "a list": (lambda text: "[1]", "it has no 'schema_version'"),
    "of a newer version": (
        lambda text: text.replace('"schema_version": 1', '"schema_version": 2'),
        "written by a newer RPO-Bench (schema version 2, this one reads up to 1)",
    ),
    "with an unknown field": (lambda text: text.replace('"architecture"', '"arch"'), "field 'architecture'"),
    "with a changed spec": (
        lambda text: text.replace('"learning_rate": null', '"learning_rate": 1'),
        "field 'cell' is not the hash of 'spec'",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_record_is_named_with_its_reason_and_the_rest_go_on(results, case):
    change, reason = BROKEN[case]
    folder = cell_folder(results, cell_spec(seed=0))
    text = change((folder / "result.json").read_text())
    (folder / "result.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    found = read_results(results)
    assert [one.record.spec.seed for one in found.records] == [1]
    (broken,) = found.broken
    assert broken.folder == folder
    assert reason in broken.reason


def test_a_folder_without_its_record_is_unfinished(results):
    folder = cell_folder(results, cell_spec(seed=0))
    (folder / "result.json").unlink()
    (broken,) = read_results(results).broken
    assert broken.reason == "unfinished: it has no result.json"


def test_what_a_stopped_run_left_behind_is_unfinished_even_with_a_record(results):
    folder = cell_folder(results, cell_spec(seed=0))
    folder.rename(folder.with_name(f".{folder.name}.tmp"))
    found = read_results(results)
    assert len(found.records) == 1
    assert found.broken[0].reason.startswith("unfinished")
    with pytest.raises(BrokenRecord, match="unfinished"):
        read_record(found.broken[0].folder)


def test_the_same_cell_counts_once_and_the_first_root_wins(results, tmp_path):
    copy = tmp_path / "published"
    shutil.copytree(results, copy)
    changed = cell_folder(copy, cell_spec(seed=1))
    edit(changed, metrics={})
    found = read_results([results, copy])
    assert len(found.records) == 2
    assert all(one.folder.is_relative_to(results) for one in found.records)
    assert {(one.folder.is_relative_to(copy), one.differs) for one in found.duplicates} == {
        (True, False),
        (True, True),
    }


def test_the_same_folder_given_twice_is_no_duplicate(results):
    found = read_results([results, results.parent])
    assert len(found.records) == 2
    assert found.duplicates == ()


def test_a_run_s_output_stands_for_its_results(results):
    work = results.parent / "work" / "cells" / "abc"
    work.mkdir(parents=True)
    (work / "samples.jsonl.gz").write_bytes(b"")
    assert read_results(results.parent) == read_results(results)


def test_several_outputs_below_one_folder_are_all_read(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        write_cell(tmp_path / name / "results", cell_spec(seed=seed))
        (tmp_path / name / "spec.yaml").write_text("{}")
        (tmp_path / name / "work").mkdir()
        (tmp_path / name / "work" / "result.json").write_text("not a result")
    found = read_results(tmp_path)
    assert [one.record.spec.seed for one in found.records] == [0, 1]
    assert found.broken == ()


def test_a_root_that_is_no_folder_is_an_error_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match="nowhere: there is no such folder; give the results"):
        read_results(tmp_path / "nowhere")


def test_a_record_that_cannot_be_written_says_where(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"result\.json can't be written"):
        write_record(tmp_path / "file" / "cell", record_of(cell_spec()))


def test_text_that_is_not_unicode_is_refused_when_it_is_written(tmp_path):
    with pytest.raises(UserError, match="text that isn't Unicode"):
        write_record(tmp_path, record_of(cell_spec(), command="rpo-bench eval \udcff"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc", "/models/base", "..", "a/b", ".hidden"])
def test_a_model_or_task_named_by_a_path_stays_within_the_results(tmp_path, name):
    folder = cell_folder(tmp_path / "results", cell_spec(model=name, task=name))
    assert folder.resolve().is_relative_to((tmp_path / "results").resolve())
    assert len(folder.relative_to(tmp_path / "results").parts) == 3
    assert not any(part.startswith(".") for part in folder.relative_to(tmp_path / "results").parts)


def test_contributed_results_are_known_by_their_folder_and_never_replace_our_own(tmp_path):
    own = write_cell(tmp_path / "results", cell_spec("rpo", 0.3, 0, task="zebra"))
    write_cell(tmp_path / "results" / "community" / "ada", cell_spec("rpo", 0.3, 0, task="zebra"))
    write_cell(tmp_path / "results" / "community" / "ada", cell_spec("rpo", 0.3, 1, task="zebra"))
    for root in (tmp_path / "results", tmp_path):
        found = read_results(root)
        assert [stored.contributor for stored in found.records] == ["ada", None]
        assert found.records[1].folder == own
        assert len(found.duplicates) == 1
