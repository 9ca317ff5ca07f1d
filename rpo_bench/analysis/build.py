"""From result folders and names to a comparison."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from rpo_bench.analysis.compatible import panel_key, refuse
from rpo_bench.analysis.cube import Cube, cube_of
from rpo_bench.analysis.families import Family, family
from rpo_bench.analysis.items import Item, Selection, distinct, items_of, read_selections
from rpo_bench.analysis.panels import Panel, panels
from rpo_bench.analysis.report import Report, Section
from rpo_bench.analysis.scores import read_document_scores, read_record_scores
from rpo_bench.analysis.section import Options, chosen_metrics, compare_panel
from rpo_bench.errors import UserError
from rpo_bench.lm_eval.schema import SCORE
from rpo_bench.results.store import Results, StoredRecord, read_results
from rpo_bench.stats.oracle import Oracle
from rpo_bench.tasks.oracle_files import find_oracle


def compare(arguments: Sequence[str], roots: Sequence[Path], options: Options) -> Report:
    """Compares what the arguments name.

    With one argument that names one thing, that is compared with everything in ``roots`` that it can be
    compared with; with several, the first with each other; with a folder of several methods, the declared
    family.

    Args:
        arguments: Folders of results, or methods (``rpo``, ``rpo@0.5``) in ``roots``.
        roots: Folders of results: the stored baselines.
        options: Metrics, budgets and filters.

    Raises:
        UserError: Something can't be found, or can't be compared; the sentence names the difference.
    """
    folders = [Path(text) for text in arguments if Path(text).is_dir()]
    pool = _filtered(read_results([*folders, *roots]), options)
    found = panels(pool.records)
    selections = [_kept(one, options) for one in read_selections(arguments, pool, found)]
    sections = [
        section
        for panel in _by_prompts(found)
        if (section := _section(panel, selections, pool, [*folders, *roots], options)) is not None
    ]
    if not sections:
        raise _nothing_shared(selections, pool, roots)
    return Report(level=options.level, sections=tuple(sections), notes=_broken(pool))


def _filtered(results: Results, options: Options) -> Results:
    records = tuple(stored for stored in results.records if _wanted(stored, options))
    if results.records and not records:
        raise UserError(f"There are no results with {_said(options)}.")
    return replace(results, records=records)


def _said(options: Options) -> str:
    wanted = (("task", options.task), ("model", options.model))
    return " and ".join(f"--{name} {value}" for name, value in wanted if value)


def _wanted(stored: StoredRecord, options: Options) -> bool:
    spec = stored.record.spec
    return options.task in (None, spec.task) and options.model in (None, spec.model)


def _kept(selection: Selection, options: Options) -> Selection:
    records = tuple(stored for stored in selection.records if _wanted(stored, options))
    if not records:
        raise UserError(f"{selection.text} has no results with {_said(options)}.")
    return Selection(selection.text, records)


def _by_prompts(found: Sequence[Panel]) -> list[Panel]:
    """Panels whose checkpoints were also measured on the very same prompts, as their hashes say."""
    kept = []
    for panel in found:
        keys = sorted({panel_key(stored.record) for stored in panel.records})
        for key in keys:
            cells = [stored for stored in panel.records if panel_key(stored.record) == key]
            kept += panels(cells) if len(keys) > 1 else [panel]
    return kept


def _section(
    panel: Panel, selections: Sequence[Selection], pool: Results, roots: Sequence[Path], options: Options
) -> Section | None:
    """One panel's comparison; None where not all arguments are in it, or nothing is to be compared."""
    named = [(one, item) for one in selections for item in items_of(one, panel)]
    if not all(any(owner is one for owner, _ in named) for one in selections):
        return None
    items = distinct(named)
    focus = items[0] if len(items_of(selections[0], panel)) == 1 else None
    if len(selections) == 1 and focus is not None:
        everything = Selection("", panel_records(panel))
        others = [item for item in items_of(everything, panel) if not _same(item, focus)]
        items = [focus, *others]
    if len(items) < 2:
        return None
    return _compared(panel, items, family(items, focus), roots, options)


def panel_records(panel: Panel) -> tuple[StoredRecord, ...]:
    """All of a panel's records as a tuple."""
    return tuple(panel.records)


def _same(item: Item, focus: Item) -> bool:
    cells = {stored.record.cell for row in focus.rows for stored in row.stored}
    return {stored.record.cell for row in item.rows for stored in row.stored} <= cells


def _compared(
    panel: Panel, items: Sequence[Item], pairs: Family, roots: Sequence[Path], options: Options
) -> Section:
    records = {s.record.cell: s for item in items for row in item.rows for s in row.stored}
    base = panel.reference.stored if panel.reference is not None else ()
    scores = read_record_scores([*base, *records.values()])
    names = {"reward", "kl", *chosen_metrics(items, options)}
    documents = _documents(panel, list(records.values()), names, options)
    cube = replace(cube_of(panel, scores, names, options.resamples), documents=documents)
    return compare_panel(panel, items, pairs, cube, _oracle(panel, roots, cube), options)


def _documents(
    panel: Panel, records: Sequence[StoredRecord], names: Collection[str], options: Options
) -> Cube | None:
    """The scores of lm-eval's documents, where some of them are to be compared."""
    wanted = {name for name in names if name.startswith(SCORE)}
    if not wanted:
        return None
    scores = read_document_scores(records)
    return cube_of(panel, scores, wanted, options.resamples) if scores.prompts else None


def _oracle(panel: Panel, roots: Sequence[Path], cube: Cube) -> Oracle | str:
    found = find_oracle(panel.spec, roots)
    if isinstance(found, str):
        return found
    return found.select(cube.prompts) or "it has no samples for some of the prompts"


def _broken(pool: Results) -> tuple[str, ...]:
    return tuple(f"{one.folder} can't be used: {one.reason}." for one in pool.broken)


def _nothing_shared(selections: Sequence[Selection], pool: Results, roots: Sequence[Path]) -> UserError:
    for i, one in enumerate(selections):
        for other in selections[i + 1 :]:
            keys = {panel_key(s.record) for s in one.records}
            if keys.isdisjoint(panel_key(s.record) for s in other.records):
                return refuse(one.text, one.records, other.text, other.records)
    if len(selections) > 1:
        return UserError("These results can't be compared: no two of them share task, model and decoding.")
    mine = selections[0]
    cells = {stored.record.cell for stored in mine.records}
    others = [stored for stored in pool.records if stored.record.cell not in cells]
    if not others:
        where = ", ".join(map(str, roots)) or "there are no stored baselines here"
        return UserError(
            f"{mine.text}: there is nothing to compare it with ({where}): name a second folder or method, "
            "or where the baselines are with --results."
        )
    return refuse(mine.text, mine.records, "the stored baselines", others)
