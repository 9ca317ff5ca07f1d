"""What a reader is told of how methods were trained, where not all were trained alike."""

import pytest
from results_factory import cell_spec, write_cell

from rpo_bench.analysis.panels import panels
from rpo_bench.analysis.protocol_notes import protocol_notes
from rpo_bench.results.schema import Seen
from rpo_bench.results.store import read_results
from rpo_bench.spec.sections import FIRST_PROTOCOL, TrainingSpec

FIRST = TrainingSpec(**FIRST_PROTOCOL)
ALL = Seen(rows=800, rows_used=800, prompts=100, presentations=960, epochs=1.2)
PAIRS = Seen(rows=800, rows_used=200, prompts=100, presentations=960, epochs=4.8, pairs=100, pairs_used=100)


def replaced(seen, **changes):
    return seen.model_copy(update=changes)


def notes(tmp_path, *cells):
    write_cell(tmp_path, cell_spec("reference", None))
    for spec, changes in cells:
        write_cell(tmp_path, spec, **changes)
    (panel,) = panels(read_results([tmp_path]).records)
    return protocol_notes(panel)


def test_methods_that_were_trained_alike_and_saw_as_much_need_no_note(tmp_path):
    assert notes(tmp_path, (cell_spec("rpo"), {"seen": ALL}), (cell_spec("kto"), {"seen": ALL})) == ()


def test_rows_of_version_0_1_are_named(tmp_path):
    (note,) = notes(tmp_path, (cell_spec("rpo", training=FIRST), {}), (cell_spec("kto"), {}))
    assert note.startswith("Trained by version 0.1")
    assert "at a fixed norm: rpo." in note
    assert "docs/protocol.md" in note


def test_all_rows_of_version_0_1_are_named_at_once(tmp_path):
    cells = [(cell_spec(name, training=FIRST), {}) for name in ("rpo", "kto", "dro")]
    (note,) = notes(tmp_path, *cells)
    assert "at a fixed norm: all methods." in note


def test_a_trust_region_that_never_acted_is_told(tmp_path):
    never, sometimes = {"ratio_clipped_share": 0.0}, {"ratio_clipped_share": 0.02}
    cells = [
        (cell_spec("p3o"), {"stability": never}),
        (cell_spec("ppo"), {"stability": sometimes}),
        (cell_spec("rpo"), {}),
    ]
    (note,) = notes(tmp_path, *cells)
    assert note.startswith("The trust region never held a gradient back: p3o. Without it")


def test_which_part_of_the_data_methods_learnt_from_is_told_where_they_differ(tmp_path):
    cells = [(cell_spec(name), {"seen": seen}) for name, seen in (("rpo", ALL), ("dpo", PAIRS), ("kto", ALL))]
    assert notes(tmp_path, *cells) == (
        "Methods trained on different parts of the data: dpo on 25 % of the responses, 4.8 times each; "
        "kto and rpo on 100 % of the responses, 1.2 times each.",
    )


def test_a_range_over_strengths(tmp_path):
    """SFT's best of k."""
    shares = {k: replaced(ALL, rows_used=100 * k) for k in (1, 2, 8)}
    best = [(cell_spec("sft", k), {"seen": seen}) for k, seen in shares.items()]
    (note,) = notes(tmp_path, *best, (cell_spec("rpo"), {"seen": ALL}))
    assert "sft on 12–100 % of the responses, 1.2–9.6 times each" in note


def test_records_that_do_not_say_what_they_saw_say_nothing(tmp_path):
    assert notes(tmp_path, (cell_spec("rpo"), {}), (cell_spec("kto"), {"seen": ALL})) == ()


def test_of_a_checkpoint_from_elsewhere_nothing_is_said(tmp_path):
    mine = cell_spec("mine", 0.0, data_hash="", training=FIRST)
    assert notes(tmp_path, (mine, {}), (cell_spec("kto"), {})) == ()


def test_over_how_many_configurations_methods_were_tuned(tmp_path):
    tuned = {"extra": {"tuned": {"file": "f", "configurations": 24}}}
    cells = [(cell_spec("rpo"), tuned), (cell_spec("dro"), tuned), (cell_spec("kto"), {})]
    assert notes(tmp_path, *cells) == (
        "Learning rates tuned over 24 configurations per method, on separate prompts.",
        "Not tuned: kto.",
    )


@pytest.mark.parametrize("told", [7, "x", {"configurations": "<b>"}, {"configurations": True}, [24], None])
def test_what_a_strangers_record_says_of_tuning_is_a_whole_number_or_nothing(tmp_path, told):
    assert notes(tmp_path, (cell_spec("rpo"), {"extra": {"tuned": told}}), (cell_spec("kto"), {})) == ()
