"""The Python interface: what ``import rpo_bench`` offers, and what the command line's verbs stand on."""

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from rpo_bench.analysis.build import compare as compare_stored
from rpo_bench.analysis.render import comparisons_frame
from rpo_bench.analysis.report import Report
from rpo_bench.analysis.section import Options
from rpo_bench.errors import UserError, bounded
from rpo_bench.results import baselines
from rpo_bench.results.frame import results_frame
from rpo_bench.results.store import read_results
from rpo_bench.site.build import PAGE, build_leaderboard
from rpo_bench.tasks.source import name_files
from rpo_bench.terminal.visible import visible_lines

if TYPE_CHECKING:
    import pandas as pd

    from rpo_bench.analysis.board import Board
    from rpo_bench.engine.run import Execution, RunCallbacks, RunContext
    from rpo_bench.spec.schema import MethodSpec, RunSpec
    from rpo_bench.tuning.run import Tuning

Paths = str | Path | Sequence[str | Path]


class SpecSettings(TypedDict, total=False):
    """Fields of a run's spec; each goes over the preset's and the config's.

    Attributes:
        task: a task by name or folder.
        data: fields of DataSpec, such as ``{"file": "my.jsonl"}``; a plain text is that file.
        models: the task's own by name, or folders.
        methods: ``"sft,rpo(tau=0.3)"``, or a list of such texts, mappings and MethodSpecs.
        strengths: ``{"rpo": [0.3, 1], "*": [0.1]}``.
        n_strengths: how many of a method's own strengths to run.
        kl_budgets: nats near which further strengths of every method are placed.
        placed: how many further strengths of a method, at most.
        budgets: multiples of the training's steps, every cell at each of them.
        seeds: of training.
        learning_rates: every cell at each of these.
        tuned: the file of ``tune``: each method at its own learning rate.
        training: fields of TrainingSpec.
        evaluation: fields of EvaluationSpec.
        prompt_format: ``none``, ``chat``, a .jinja chat template or a text file with {prompt} in it.
        system_prompt: of a chat format.
        loading: fields of LoadingSpec.
        generation: fields of GenerationSpec.
    """

    task: str
    data: str | Path | Mapping[str, Any]
    models: str | Path | Sequence[str | Path]
    methods: "str | Sequence[str | Mapping[str, Any] | MethodSpec]"
    strengths: Mapping[str, Sequence[float]]
    n_strengths: int | None
    kl_budgets: Sequence[float]
    placed: int
    budgets: Sequence[int]
    seeds: int | Sequence[int]
    learning_rates: Sequence[float]
    tuned: str | Path
    training: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    prompt_format: str
    system_prompt: str
    loading: Mapping[str, Any]
    generation: Mapping[str, Any]


class Place(TypedDict, total=False):
    """Where a run happens and what it may do; none of it changes a result.

    Attributes:
        output_path: where everything goes.
        work_path: where checkpoints and other intermediate work go; ``<output_path>/work`` by default.
        include_path: a folder of further tasks.
        data_files: split → file, for a task made of a public dataset; holds for the rest of the process.
        workers: processes; as many as cores by default.
        threads: of torch, per worker.
        progress: show it on standard error.
        judge: ``embedded`` or ``none``; by default the task's own judge where it has one.
        trust_remote_code: run code that a model folder brings along.
        allow_pickle: load pickled weights, which can run code.
    """

    output_path: str | Path
    work_path: str | Path
    include_path: str | Path
    data_files: Mapping[str, str | Path]
    workers: int
    threads: int
    progress: bool
    judge: str
    trust_remote_code: bool
    allow_pickle: bool


class RunSettings(SpecSettings, Place, total=False):
    """What ``train_and_eval`` takes."""


@dataclass(frozen=True)
class Run:
    """A run that has ended, with its page.

    Attributes:
        output: its folder.
        board: what the page shows: a section per base model, each with its verdict and rows; None when
            there are no results.
        page: the page.
        failures: cells without a result, and why; the same call tries them again.
    """

    output: Path
    board: "Board | None"
    page: Path
    failures: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Run({str(self.output)!r}: {self._said()}; page {str(self.page)!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows: a sentence, the verdicts and the way to the page."""
        verdicts = [] if self.board is None else [section.verdict.text for section in self.board.sections]
        lines = [f"<b>{escape(str(self.output))}</b>: {escape(self._said())}"]
        lines += map(escape, verdicts)
        lines.append(f'<a href="{escape(self.page.resolve().as_uri())}">{escape(str(self.page))}</a>')
        return "<br>".join(lines)

    def _said(self) -> str:
        """How many checkpoints, and what failed."""
        cells = 0 if self.board is None else sum(len(section.rows) for section in self.board.sections)
        rows = f"{cells} row" + ("" if cells == 1 else "s")
        return rows + (f", {len(self.failures)} without a result" if self.failures else "")

    def results(self) -> "pd.DataFrame":
        """One row per cell: see ``load_results``."""
        return load_results(self.output)


def make_spec(
    preset: str | None = None, config: str | Path | None = None, **settings: Unpack[SpecSettings]
) -> "RunSpec":
    """The spec of a run, without running it.

    Args:
        preset: ``smoke``, ``quick`` (the default), ``standard`` or another that is shipped.
        config: a spec file over the preset.
        settings: fields that go over both: see ``SpecSettings``.

    Raises:
        UserError: names the field that is wrong.
    """
    from rpo_bench.files.plain_data import check_plain
    from rpo_bench.spec.presets import WRONG, layers_of, spec_over

    check_plain([preset, None if config is None else str(config), settings], WRONG)
    return spec_over(layers_of(preset, None if config is None else Path(config)), _changes(settings))


def train_and_eval(
    preset: str | None = None, config: str | Path | None = None, **settings: Unpack[RunSettings]
) -> Run:
    """Trains methods × strengths × seeds × models, measures every checkpoint and builds the page.

    Called again it does what is missing and nothing else; stopped at any moment, the same call goes on.

    Args:
        preset: as in ``make_spec``.
        config: as in ``make_spec``.
        settings: the spec's fields (``SpecSettings``) and the place (``Place``).

    Raises:
        UserError: what can't work, in one sentence, before any work is done.
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
    """Chooses each method's learning rate on prompts that are neither trained nor tested on.

    Called again it does what is missing and nothing else; stopped at any moment, the same call goes on.

    Args:
        preset: as in ``make_spec``: whose steps and methods.
        config: as in ``make_spec``.
        rates: learning rates of each method, a factor of 3 apart.
        strengths_per_rate: strengths of each learning rate, at most.
        settings: as of ``train_and_eval``; ``kl_budgets`` are those near which strengths are placed,
            ``seeds`` one or two, 0 by default, and a learning rate in ``training`` is the grid's centre.

    Returns:
        Its ``file`` for ``train_and_eval(tuned=...)``, and what it holds as ``tuned``; None where something
        failed.

    Raises:
        UserError: what can't work, in one sentence, before any work is done.
    """
    started_at = time.monotonic()
    from rpo_bench.engine.execute import failure_lines
    from rpo_bench.tuning.run import default_output, effort_of
    from rpo_bench.tuning.run import tune as tuned

    place, changes = _divided(settings)
    effort = effort_of(rates, strengths_per_rate, changes.pop("kl_budgets", None))
    changes.setdefault("seeds", 0)
    spec = make_spec(preset, config, **changes)
    root = Path(place.get("output_path") or default_output(spec))
    done = tuned(spec, effort, _run_context(root, place, started_at), _callbacks())
    if done.tuned is None:
        _warn("\n".join(map(bounded, failure_lines(done.report.failures, done.report.lost_cells))), 2)
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

    Into the output folder of an earlier run they are measured as it was, and join its page.

    Args:
        checkpoints: folders that ``from_pretrained`` reads, or LoRA adapters.
        task: a task by name or folder; None: that of the earlier run in the output folder, else civil_qa.
        reference: the base model that KL is measured against: the task's own by name, or a folder; None:
            the one that a checkpoint was trained from, or the task's with the same tokenizer.
        evaluation: fields of EvaluationSpec that differ.
        models: fields of RunSpec that say how models are used: prompt_format, system_prompt, loading,
            generation.
        place: see ``Place``.

    Raises:
        UserError: a checkpoint, its reference or the task can't be used.
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
    finished = Finished(_paths(checkpoints), None if reference is None else str(reference))
    return _ended(run_evaluation(spec, finished, run_context, _callbacks()))


def compare(
    things: Paths, *more: str | Path, results: Paths | None = None, options: Options | None = None
) -> Report:
    """What differences between stored results are worth, at equal KL and at equal strength.

    Args:
        things: a folder of results, or a method in ``results`` (``rpo``, ``rpo@0.5``), or several.
        more: further ones. The first is compared with each other; alone, with the stored baselines; a folder
            of several methods, by the declared family.
        results: where methods are looked up; the stored baselines by default.
        options: metrics, KL budgets, level and so on.

    Returns:
        The report; ``differences`` makes a table of it.

    Raises:
        UserError: something can't be found, or can't be compared; the sentence names the difference.
    """
    named = [str(path) for path in (*_paths(things), *more)]
    stored = baselines.stored_baselines()
    roots = [] if stored is None else [stored]
    return compare_stored(named, roots if results is None else _paths(results), options or Options())


def differences(report: Report) -> "pd.DataFrame":
    """A comparison's rows: who against whom, on what, the difference, its interval and its verdict."""
    return comparisons_frame(report)


def load_results(path: Paths = "results") -> "pd.DataFrame":
    """Stored results as a table, one row per checkpoint.

    Args:
        path: folders of results, or outputs of ``train_and_eval``.

    Returns:
        Columns: task, model, architecture, method, strength_name, strength, seed, learning_rate, status;
        for every metric its point, ``<metric>_low`` and ``<metric>_high``; ``cost_*``; cell, command and
        folder. Rows are in the order of these names. ``attrs["broken"]`` lists folders that couldn't be used
        with the reason; a warning tells their number.

    Raises:
        UserError: there are no results.
    """
    roots = _paths(path)
    found = read_results(list(roots))
    if not found.records:
        why = "".join(f"; {one.folder}: {one.reason}" for one in found.broken[:1])
        raise UserError(f"{', '.join(map(str, roots))}: there are no results here that can be used{why}.")
    if found.broken:
        first = found.broken[0]
        _warn(f"{len(found.broken)} results can't be used; the first, {first.folder}: {first.reason}.", 2)
    return results_frame(found)


def leaderboard(results: Paths = "results", output_path: str | Path | None = None) -> "tuple[Board, Path]":
    """Builds the page from stored results; nothing is trained or measured.

    Args:
        results: folders of results, or outputs of ``train_and_eval``.
        output_path: where the page goes; ``leaderboard`` beside the results by default.

    Returns:
        What the page shows, and its file.

    Raises:
        UserError: there is no result to show, or the page can't be written.
    """
    roots = _paths(results)
    target = default_page_folder(roots[0]) if output_path is None else Path(output_path)
    return build_leaderboard(roots, target), target / PAGE


def default_page_folder(root: Path) -> Path:
    """Where ``train_and_eval`` puts the page of the same results."""
    holds_results = (root / "results").is_dir()
    return (root if holds_results else root.parent) / "leaderboard"


def _paths(given: Paths) -> tuple[Path, ...]:
    found = (given,) if isinstance(given, str | Path) else tuple(given)
    if not found:
        raise UserError("No folder was named: give at least one.")
    return tuple(Path(path) for path in found)


def _divided(settings: RunSettings) -> tuple[Place, SpecSettings]:
    """The place and the spec's fields, which are given side by side."""
    names = Place.__annotations__
    place = {name: value for name, value in settings.items() if name in names}
    spec = {name: value for name, value in settings.items() if name not in names}
    return place, spec  # type: ignore[return-value]


def _changes(settings: SpecSettings) -> dict[str, Any]:
    """The fields in the form in which a spec file would have them."""
    changes: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    if "methods" in changes:
        changes["methods"] = _methods(changes["methods"])
    if isinstance(changes.get("data"), str | Path):
        changes["data"] = {"file": str(changes["data"])}
    if "models" in changes:
        models = changes["models"]
        several = models if isinstance(models, list | tuple) else [models]
        changes["models"] = [str(one) if isinstance(one, Path) else one for one in several]
    if isinstance(changes.get("tuned"), str | Path):
        from rpo_bench.tuning.schema import tuned_field

        changes["tuned"] = tuned_field(Path(changes["tuned"]))
    if isinstance(changes.get("seeds"), int):
        changes["seeds"] = [changes["seeds"]]
    return changes


def _methods(given: Any) -> list[dict[str, Any]]:
    from rpo_bench.files.plain_data import shown
    from rpo_bench.spec.parsing import parse_methods
    from rpo_bench.spec.schema import MethodSpec

    found: list[dict[str, Any]] = []
    for one in given if isinstance(given, list | tuple) else [given]:
        if isinstance(one, str):
            found += [method.model_dump() for method in parse_methods(one)]
        elif isinstance(one, MethodSpec):
            found.append(one.model_dump())
        elif isinstance(one, Mapping):
            found.append(dict(one))
        else:
            raise UserError(
                f"methods: {shown(one)} is no method: give texts such as 'rpo(tau=0.3)', or mappings such as "
                "{'name': 'rpo', 'options': {'tau': 0.3}}."
            )
    return found


def _run_context(root: Path, place: Place, started_at: float) -> "RunContext":
    from rpo_bench.engine.execute import Runner
    from rpo_bench.engine.judge_run import Judging
    from rpo_bench.engine.output import Output
    from rpo_bench.engine.run import RunContext
    from rpo_bench.spec.trust import Trust

    if files := place.get("data_files"):
        name_files(",".join(f"{split}={file}" for split, file in files.items()))
    included = place.get("include_path")
    trust = Trust(place.get("trust_remote_code", False), place.get("allow_pickle", False))
    quiet = not place.get("progress", False)
    runner = Runner(place.get("workers"), place.get("threads", 1), quiet, started_at)
    output = Output(root, Path(place.get("work_path") or root / "work"))
    judging = Judging(place.get("judge"))
    return RunContext(output, None if included is None else Path(included), trust, runner, judging)


def _callbacks() -> "RunCallbacks":

    from rpo_bench.engine.run import RunCallbacks
    from rpo_bench.terminal.screen import SafeConsole

    return RunCallbacks(SafeConsole(stderr=True), lambda text: _warn(text, 4))


def _ended(done: "Execution") -> Run:
    """Builds the page of what there is; failures are told as a warning, too."""
    from rpo_bench.engine.execute import failure_lines

    output, report = done.output, done.report
    failures = tuple(failure_lines(report.failures, report.lost_cells)) if report.lost_cells else ()
    if done.judgement is not None and done.judgement.status != "done":
        failures += (f"The judge failed: {done.judgement.reason}",)
    if failures:
        _warn("\n".join(map(bounded, failures)), 3)
    board = build_leaderboard([output.results], output.leaderboard) if output.results.is_dir() else None
    return Run(output.root, board, output.leaderboard / PAGE, failures)


def _warn(text: str, level: int) -> None:
    """A warning in whose text nothing commands a terminal; ``level`` as ``warnings.warn`` counts it here."""
    warnings.warn(visible_lines(text), stacklevel=level + 1)
