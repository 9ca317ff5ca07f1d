"""Only what was measured alike is compared, and names say what else differs."""

from pathlib import Path

from results_factory import cell_spec, record_of, write_cell

from rpo_bench.analysis.panels import panels
from rpo_bench.results.store import StoredRecord, read_results
from rpo_bench.spec.sections import (
    DataSpec,
    Decoding,
    EvaluationSpec,
    LoadingSpec,
    MethodSpec,
    PromptFormat,
    TrainingSpec,
)


def stored(*specs):
    return [StoredRecord(Path(str(i)), record_of(spec)) for i, spec in enumerate(specs)]


def test_checkpoints_are_sorted_into_series_and_rows_whatever_their_order():
    specs = [cell_spec(m, s, seed) for m in ("rpo", "kto") for s in (1.0, 0.1) for seed in (1, 0)]
    records = stored(*specs, cell_spec("reference", None))
    for order in (records, records[::-1]):
        (panel,) = panels(order)
        assert [series.label for series in panel.series] == ["reference", "kto", "rpo"]
        assert [row.strength for row in panel.trained[0].rows] == [0.1, 1.0]
        assert [s.record.spec.seed for s in panel.trained[0].rows[0].stored] == [0, 1]
        assert panel.reference is not None


def test_what_was_measured_differently_is_kept_apart_and_told_apart():
    greedy = EvaluationSpec(n_samples=2, decoding=Decoding(temperature=0.5))
    found = panels(stored(cell_spec(), cell_spec(evaluation=greedy), cell_spec(model="encoder-decoder")))
    assert [(panel.task, panel.model) for panel in found] == [
        ("civil_qa", "encoder-decoder"),
        ("civil_qa [temperature=0.5]", "decoder"),
        ("civil_qa [temperature=1.0]", "decoder"),
    ]


def test_a_task_that_changed_is_another_panel():
    found = panels(stored(cell_spec(), cell_spec(task_hash="e" * 64)))
    assert [panel.task for panel in found] == ["civil_qa [task=aaaaaaaa]", "civil_qa [task=eeeeeeee]"]


def test_other_training_or_data_is_another_series_of_the_same_panel():
    (panel,) = panels(
        stored(
            cell_spec(training=TrainingSpec(steps=100)),
            cell_spec(training=TrainingSpec(steps=300)),
            cell_spec(
                training=TrainingSpec(steps=300), data=DataSpec(responses_per_prompt=1), data_hash="f" * 64
            ),
        )
    )
    assert [series.label for series in panel.series] == [
        "rpo [responses_per_prompt=1, steps=300]",
        "rpo [responses_per_prompt=default, steps=100]",
        "rpo [responses_per_prompt=default, steps=300]",
    ]


def test_where_files_lie_tells_nothing_apart():
    (panel,) = panels(
        stored(
            cell_spec(seed=0, model_path="/a"),
            cell_spec(seed=1, model_path="/b", data=DataSpec(file="x.csv")),
        )
    )
    assert [series.label for series in panel.series] == ["rpo"]


def test_methods_of_one_name_from_different_sources_are_told_apart():
    ours, theirs = MethodSpec(name="mine", source="1" * 16), MethodSpec(name="mine", source="2" * 16)
    (panel,) = panels(
        stored(
            cell_spec(method="x"),
            cell_spec().model_copy(update={"method": ours}),
            cell_spec().model_copy(update={"method": theirs}),
        )
    )
    assert [series.label for series in panel.series] == [
        "mine [source=11111111]",
        "mine [source=22222222]",
        "x",
    ]


def test_the_reference_policy_is_one_whatever_the_data():
    (panel,) = panels(
        stored(
            cell_spec("reference", None, data_hash=""),
            cell_spec("reference", None, training=TrainingSpec(steps=9)),
            cell_spec(),
        )
    )
    assert [series.label for series in panel.series] == ["reference", "rpo"]


def test_contributed_results_are_a_series_of_their_own(tmp_path):
    write_cell(tmp_path, cell_spec("rpo", 0.3, 0))
    write_cell(tmp_path / "community" / "ada", cell_spec("rpo", 0.3, 1))
    (panel,) = panels(read_results(tmp_path).records)
    assert [series.label for series in panel.series] == ["rpo", "rpo (community: ada)"]


def test_another_prompt_format_or_number_format_is_another_panel_not_another_seed():
    chat = PromptFormat(kind="chat", hash="9" * 64)
    other = PromptFormat(kind="chat", hash="8" * 64)
    half = LoadingSpec(dtype="bfloat16")
    found = panels(
        stored(
            cell_spec(),
            cell_spec(prompt_format=chat),
            cell_spec(prompt_format=other),
            cell_spec(loading=half),
            cell_spec(loading=LoadingSpec(device_map="cpu"), seed=1),
        )
    )
    assert [panel.task.removeprefix("civil_qa ") for panel in found] == [
        "[dtype=bfloat16, format=default, prompt_format=default]",
        "[dtype=float32, format=88888888, prompt_format=chat]",
        "[dtype=float32, format=99999999, prompt_format=chat]",
        "[dtype=float32, format=default, prompt_format=default]",
    ]
    assert [len(panel.series[0].rows[0].stored) for panel in found] == [1, 1, 1, 2]
    two = panels(stored(cell_spec(), cell_spec(prompt_format=chat)))
    assert [panel.task for panel in two] == [
        "civil_qa [prompt_format=chat]",
        "civil_qa [prompt_format=default]",
    ]


def test_what_an_online_method_learnt_from_is_told_by_its_content():
    """The same file name with another content is another series; a tracker, or a reward that an offline
    method never saw, is none."""
    before, after = TrainingSpec(reward="python:r.py:f"), TrainingSpec(report_to=("tensorboard",))
    (panel,) = panels(
        stored(
            cell_spec("grpo", world_hash="1" * 64, training=before),
            cell_spec("grpo", world_hash="2" * 64, training=before),
            cell_spec("dro", seed=0, training=before),
            cell_spec("dro", seed=1, training=after),
        )
    )
    assert [(series.label, len(series.rows[0].stored)) for series in panel.series] == [
        ("dro", 2),
        ("grpo [world=11111111]", 1),
        ("grpo [world=22222222]", 1),
    ]


def test_one_checkpoint_is_one_row_whatever_strengths_it_was_trained_at():
    """The best of 16 responses is that of 8 where there are no more; at 4 it is another."""

    def checkpoint(strength, seed, weights):
        record = record_of(cell_spec("sft", strength, seed), hashes={"weights": weights})
        return StoredRecord(Path(f"{strength}-{seed}"), record)

    known = [checkpoint(4.0, 0, "4" * 64), checkpoint(8.0, 0, "8" * 64), checkpoint(16.0, 0, "8" * 64)]
    known += [checkpoint(16.0, 1, "9" * 64), checkpoint(32.0, 0, "8" * 64)]
    (panel,) = panels(known)
    (series,) = panel.series
    assert [(row.strength, row.also) for row in series.rows] == [(4.0, ()), (8.0, (16.0, 32.0))]
    assert [stored.record.spec.seed for stored in series.rows[1].stored] == [0, 1]
    assert series.rows[1].at(16.0)
    (apart,) = panels([*known[:2], checkpoint(16.0, 0, "7" * 64)])
    assert [row.strength for row in apart.series[0].rows] == [4.0, 8.0, 16.0]
