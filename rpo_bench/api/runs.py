"""Runs: training, tuning and evaluation."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from rpo_bench.api.place import Paths, Place, RunSettings, paths_of
from rpo_bench.api.results import load_results
from rpo_bench.api.warning import warn
from rpo_bench.errors import bounded
from rpo_bench.site.build import PAGE, build_leaderboard
from rpo_bench.spec.python_settings import SpecSettings, spec_fields
from rpo_bench.tasks.source import name_files

if TYPE_CHECKING:
    import pandas as pd

    from rpo_bench.analysis.board import Board
    from rpo_bench.engine.run import Execution, RunCallbacks, RunContext
    from rpo_bench.spec.schema import RunSpec
    from rpo_bench.tuning.run import Tuning


@dataclass(frozen=True)
class Run:
    """The results of a run, with its page.

    Attributes:
        output: its folder.
        board: the content of the page: a section per base model with its verdict and rows; None without
            results.
        page: the page's file.
        failures: cells without a result, with the reasons; the same call tries them again.
    """

    output: Path
    board: "Board | None"
    page: Path
    failures: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Run({str(self.output)!r}: {self._said()}; page {str(self.page)!r})"

    def _repr_html_(self) -> str:
        """The HTML for notebooks: a sentence, the verdicts and a link to the page."""
        verdicts = [] if self.board is None else [section.verdict.text for section in self.board.sections]
        lines = [f"<b>{escape(str(self.output))}</b>: {escape(self._said())}"]
        lines += map(escape, verdicts)
        lines.append(f'<a href="{escape(self.page.resolve().as_uri())}">{escape(str(self.page))}</a>')
        return "<br>".join(lines)

    def _said(self) -> str:
        """The number of checkpoints and failures."""
        cells = 0 if self.board is None else sum(len(section.rows) for section in self.board.sections)
        rows = f"{cells} row" + ("" if cells == 1 else "s")
        return rows + (f", {len(self.failures)} without a result" if self.failures else "")

    def results(self) -> "pd.DataFrame":
        """One row per cell: see ``load_results``."""
        return load_results(self.output)


def make_spec(
    preset: str | None = None, config: str | Path | None = None, **settings: Unpack[SpecSettings]
) -> "RunSpec":
    """Makes the spec of a run without running it.

    Args:
        preset: ``smoke``, ``quick`` (the default), ``standard`` or another built-in preset.
        config: a spec file that overrides the preset.
        settings: fields that override both: see ``SpecSettings``.

    Raises:
        UserError: a field is invalid; the message names it.
    """
    return _spec(preset, config, {}, settings)


def _spec(
    preset: str | None, config: str | Path | None, defaults: Mapping[str, Any], settings: SpecSettings
) -> "RunSpec":
    """``make_spec`` with a function's own defaults over the preset's."""
    from rpo_bench.files.plain_data import check_plain
    from rpo_bench.spec.presets import WRONG, layers_of, spec_over

    check_plain([preset, None if config is None else str(config), settings], WRONG)
    changes = spec_fields(settings)
    if isinstance(changes.get("tuned"), str | Path):
        from rpo_bench.tuning.schema import tuned_field

        changes["tuned"] = tuned_field(Path(changes["tuned"]))
    return spec_over(layers_of(preset, None if config is None else Path(config), defaults), changes)


def train_and_eval(
    preset: str | None = None, config: str | Path | None = None, **settings: Unpack[RunSettings]
) -> Run:
    """Trains methods × strengths × seeds × models, measures every checkpoint and builds the page.

    The same call resumes a stopped run, and only computes missing results.

    Args:
        preset: as in ``make_spec``.
        config: as in ``make_spec``.
        settings: fields of the spec (``SpecSettings``) and of the place (``Place``).

    Raises:
        UserError: a setting or input is invalid; raised before any work.
    """
    started_at = time.monotonic()
    from rpo_bench.engine.run import default_output, run_matrix

    place, changes = _divided(settings)
    spec = make_spec(preset, config, **changes)
    root = place.get("output_path") or default_output(spec, preset, None if config is None else Path(config))
    return _ended(run_matrix(spec, _run_context(Path(root), place, started_at), _callbacks()))


def tune(
    preset: str | None = None,
    config: str | Path | None = None,
    *,
    rates: int = 4,
    strengths_per_rate: int = 6,
    **settings: Unpack[RunSettings],
) -> "Tuning":
    """Chooses each method's learning rate on prompts that are used for neither training nor testing.

    The same call resumes a stopped run, and only computes missing results.

    Args:
        preset: as in ``make_spec``; its steps and methods are used.
        config: as in ``make_spec``.
        rates: number of learning rates per method, a factor of 3 apart.
        strengths_per_rate: maximum number of strengths per learning rate.
        settings: as in ``train_and_eval``. Strengths are placed near ``kl_budgets``. ``seeds`` has one or two
            seeds, 0 by default. A learning rate in ``training`` is the centre of the grid.

    Returns:
        The ``file`` for ``train_and_eval(tuned=...)``, and its content ``tuned``, which is None if a cell
        failed.

    Raises:
        UserError: a setting or input is invalid; raised before any work.
    """
    started_at = time.monotonic()
    from rpo_bench.engine.execute import failure_lines
    from rpo_bench.tuning.run import DEFAULTS, default_output, effort_of
    from rpo_bench.tuning.run import tune as tuned

    place, changes = _divided(settings)
    effort = effort_of(rates, strengths_per_rate, changes.pop("kl_budgets", None))
    changes.setdefault("seeds", 0)
    spec = _spec(preset, config, DEFAULTS, changes)
    root = Path(place.get("output_path") or default_output(spec))
    done = tuned(spec, effort, _run_context(root, place, started_at), _callbacks())
    if done.tuned is None:
        warn("\n".join(map(bounded, failure_lines(done.report.failures, done.report.lost_cells))), 2)
    return done


def evaluate(
    checkpoints: Paths,
    *,
    task: str | None = None,
    reference: str | Path | None = None,
    evaluation: Mapping[str, Any] | None = None,
    models: Mapping[str, Any] | None = None,
    **place: Unpack[Place],
) -> Run:
    """Measures finished checkpoints as ``train_and_eval`` measures its own; nothing is trained.

    In the output folder of an earlier run, they are measured in the same way and added to its page.

    Args:
        checkpoints: folders that ``from_pretrained`` reads, or LoRA adapters.
        task: a task by name or folder; None: that of the earlier run in the output folder, else civil_qa.
        reference: the base model against which KL is measured: one of the task's by name, or a folder.
            None: the model that a checkpoint was trained from, or the task's with the same tokenizer.
        evaluation: fields of EvaluationSpec that differ.
        models: fields of RunSpec for using models: prompt_format, system_prompt, loading, generation.
        place: see ``Place``.

    Raises:
        UserError: a checkpoint, its reference or the task is unusable.
    """
    started_at = time.monotonic()
    from rpo_bench.engine.plan.evaluation import Finished
    from rpo_bench.engine.run import default_evaluation_output, evaluation_spec, run_evaluation
    from rpo_bench.spec.presets import part_of

    run_context = _run_context(
        Path(place.get("output_path") or default_evaluation_output(task)), place, started_at
    )
    changes = {**part_of({"models": models}, "models"), "task": task, "evaluation": evaluation or {}}
    spec = evaluation_spec(changes, run_context.output, run_context.include_path)
    finished = Finished(paths_of(checkpoints), None if reference is None else str(reference))
    return _ended(run_evaluation(spec, finished, run_context, _callbacks()))


def _divided(settings: RunSettings) -> tuple[Place, SpecSettings]:
    """Splits the settings into the place and the spec's fields."""
    names = Place.__annotations__
    place = {name: value for name, value in settings.items() if name in names}
    spec = {name: value for name, value in settings.items() if name not in names}
    return place, spec  # type: ignore[return-value]


def _run_context(root: Path, place: Place, started_at: float) -> "RunContext":
    from rpo_bench.engine.execute import Runner
    from rpo_bench.engine.judge_run import Judging
    from rpo_bench.engine.output import Output
    from rpo_bench.engine.plan.resources import parallel_of
    from rpo_bench.engine.run import RunContext
    from rpo_bench.spec.trust import Trust

    if files := place.get("data_files"):
        name_files(",".join(f"{split}={file}" for split, file in files.items()))
    included = place.get("include_path")
    trust = Trust(place.get("trust_remote_code", False), place.get("allow_pickle", False))
    quiet = not place.get("progress", False)
    runner = Runner(
        place.get("workers"),
        place.get("threads", 1),
        quiet,
        started_at,
        place.get("gpus_per_cell", 1),
        parallel_of(place.get("parallel", "auto")),
    )
    output = Output(root, Path(place.get("work_path") or root / "work"))
    judging = Judging(place.get("judge"))
    return RunContext(output, None if included is None else Path(included), trust, runner, judging)


def _callbacks() -> "RunCallbacks":

    from rpo_bench.engine.run import RunCallbacks
    from rpo_bench.terminal.screen import SafeConsole

    return RunCallbacks(SafeConsole(stderr=True), lambda text: warn(text, 4))


def _ended(done: "Execution") -> Run:
    """Builds the page of the results; failures are also reported as a warning."""
    from rpo_bench.engine.execute import failure_lines

    output, report = done.output, done.report
    failures = tuple(failure_lines(report.failures, report.lost_cells)) if report.lost_cells else ()
    if done.judgement is not None and done.judgement.status != "done":
        failures += (f"The judge failed: {done.judgement.reason}",)
    if failures:
        warn("\n".join(map(bounded, failures)), 3)
    board = build_leaderboard([output.results], output.leaderboard) if output.results.is_dir() else None
    return Run(output.root, board, output.leaderboard / PAGE, failures)
