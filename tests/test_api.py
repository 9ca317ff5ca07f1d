"""``import rpo_bench as rb``: the matrix, finished checkpoints, comparisons and tables from Python."""

import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from html import escape

import pandas as pd
import pytest
from tiny_task import tiny_task

import rpo_bench as rb

TRAINING = {"steps": 4, "batch_size": 4, "warmup_steps": 0, "probe_every": 0, "learning_rate": 0.05}
EVALUATION = {"n_samples": 2, "toxicity": "none"}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    root = tmp_path_factory.mktemp("tasks")
    tiny_task(root / "tiny")
    return root


@pytest.fixture(scope="module")
def run(tasks, tmp_path_factory):
    """Two methods, two seeds, on the tiny task."""
    return rb.train_and_eval(
        "smoke",
        task=str(tasks / "tiny"),
        methods=["sft", {"name": "rpo", "options": {"tau": 0.5}}],
        seeds=[0, 1],
        training=TRAINING,
        evaluation=EVALUATION,
        output_path=tmp_path_factory.mktemp("out") / "run",
        workers=1,
    )


def test_a_run_tells_its_results_and_builds_its_page(run):
    assert run.failures == ()
    assert run.page.is_file()
    assert len(run.board.sections) == 1
    frame = run.results()
    assert list(frame["method"].value_counts().sort_index().items()) == [
        ("reference", 1),
        ("rpo", 2),
        ("sft", 2),
    ]
    assert frame["reward"].notna().all()
    assert (frame["reward_low"].dropna() <= frame["reward"][frame["reward_low"].notna()]).all()
    assert frame.loc[frame["method"] == "reference", "strength"].isna().all()
    assert set(frame.loc[frame["method"] == "rpo", "strength"]) == {0.5}
    assert frame["cell"].is_unique


def test_the_same_call_does_nothing_twice(run, tasks):
    before = {f: f.stat().st_mtime_ns for f in run.output.rglob("result.json")}
    again = rb.train_and_eval(
        "smoke",
        task=str(tasks / "tiny"),
        methods="sft,rpo(tau=0.5)",
        seeds=[0, 1],
        training=TRAINING,
        evaluation=EVALUATION,
        output_path=run.output,
    )
    assert {f: f.stat().st_mtime_ns for f in again.output.rglob("result.json")} == before


def test_a_finished_checkpoint_is_measured(run, tasks):
    checkpoint = next(run.output.glob("work/cells/*/train/checkpoint"))
    measured = rb.evaluate(checkpoint, task=str(tasks / "tiny"), output_path=run.output, workers=1)
    assert measured.failures == ()
    assert len(measured.results()) == 5, "it was measured already, as the run measures"


def test_comparisons_are_reports_and_tables(run):
    report = rb.compare(
        "rpo", "sft", results=run.output, options=rb.CompareOptions(at="strength", resamples=200)
    )
    table = rb.differences(report)
    assert {"reward", "kl"} <= set(table["metric"])
    first = table[table["metric"] == "reward"].iloc[0]
    assert first["difference"] == pytest.approx(first["first_value"] - first["second_value"])
    assert first["low"] <= first["difference"] <= first["high"]
    assert rb.compare("rpo", "sft", results=run.output).sections, "the package of this name can be called"


def test_the_board_is_built_where_it_is_wanted(run, tmp_path):
    board, page = rb.leaderboard(run.output, tmp_path / "page")
    assert page == tmp_path / "page" / "index.html"
    assert page.is_file()
    assert len(board.sections[0].rows) == 3


def test_a_broken_result_is_told_and_the_rest_goes_on(run, tmp_path):
    shutil.copytree(run.output / "results", tmp_path / "results")
    broken = sorted((tmp_path / "results").rglob("result.json"))[0]
    broken.write_text("{")
    with pytest.warns(UserWarning, match="1 unusable result left out"):
        frame = rb.load_results(tmp_path / "results")
    assert len(frame) == 4
    assert frame.attrs["broken"][0][0] == str(broken.parent)
    assert isinstance(frame, pd.DataFrame)


class TestSpecs:
    def test_keywords_go_over_the_preset(self):
        spec = rb.make_spec("smoke", seeds=3, models="encoder-decoder", training={"steps": 7})
        assert (spec.seeds, spec.models, spec.training.steps) == ((3,), ("encoder-decoder",), 7)
        assert spec.training.batch_size == 32, "the preset's"

    def test_a_file_of_rows_is_a_task(self):
        spec = rb.make_spec(data="some/rows.jsonl", models="my-base")
        assert (spec.task, spec.data.file) == ("data:rows", "some/rows.jsonl")

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"training": {"stepz": 3}}, "unknown setting 'training.stepz'. Did you mean 'steps'?"),
            ({"learn": 3}, "unknown setting 'learn'"),
            ({"data": "rows.jsonl"}, "--data needs --models FOLDER"),
            ({"preset": "smoek"}, "Unknown preset 'smoek'. Did you mean 'smoke'?"),
            ({"methods": ["sft", 3]}, "methods: 3 isn't a method: give texts such as 'rpo(tau=0.3)'"),
            ({"methods": "rpo(("}, "'rpo((' is not understood"),
        ],
    )
    def test_what_is_wrong_is_one_sentence(self, settings, message):
        with pytest.raises(rb.UserError) as raised:
            rb.make_spec(**settings)
        assert message in str(raised.value)
        assert "\n" not in str(raised.value)


def test_what_can_not_be_pushed_is_one_sentence():
    with pytest.raises(rb.UserError, match="there is no such checkpoint to push"):
        rb.push_to_hub("nowhere", "me/mine")
    with pytest.raises(rb.UserError, match="write OWNER/NAME"):
        rb.push_to_hub("nowhere", "mine")


def test_no_results_is_an_error(tmp_path):
    with pytest.raises(rb.UserError, match="there are no usable results here"):
        rb.load_results(tmp_path)


def test_importing_the_package_imports_nothing_heavy():
    heavy = "{'torch', 'pandas', 'numpy', 'typer', 'pydantic'}"
    code = f"import sys, rpo_bench as rb; dir(rb); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_a_script_without_a_guard_runs_once(tasks, tmp_path):
    """multiprocessing imports the caller's script into every worker unless it is kept from that."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        print("script")
        import rpo_bench as rb
        run = rb.train_and_eval(
            "smoke", task={str(tasks / "tiny")!r}, methods="sft", seeds=0, training={TRAINING},
            evaluation={EVALUATION}, output_path={str(tmp_path / "out")!r}, workers=1,
        )
        print(len(run.results()), run.failures)
        """)
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["script", "2 ()"]


def test_a_run_prints_as_one_line_and_shows_its_verdicts_in_a_notebook(run, tmp_path):
    strange = replace(run, output=tmp_path / "a<b", failures=("dpo: train failed",))
    assert repr(strange).count("\n") == 0
    assert len(repr(run)) < 100 + len(str(run.output)) + len(str(run.page))
    assert "1 without a result" in repr(strange)
    shown = strange._repr_html_()
    assert "a&lt;b" in shown
    assert all(escape(section.verdict.text) in shown for section in run.board.sections)
    assert run.page.as_uri() in shown
