"""Scores of a panel as arrays: training seed × prompt, averaged over a prompt's samples."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rpo_bench.analysis.panels import Panel, Row
from rpo_bench.errors import UserError
from rpo_bench.lm_eval.stored import read_docs
from rpo_bench.lm_eval.values import by_metric
from rpo_bench.results.samples import PromptMeans, prompt_means
from rpo_bench.results.store import SCORES_FILE, StoredRecord, read_scores
from rpo_bench.stats.arrays import Floats


@dataclass(frozen=True)
class PanelScores:
    """The scores of a panel's checkpoints.

    Attributes:
        prompts: The prompts' identities, sorted: the columns of every array.
        cells: Cell → metric → scores (P,), NaN where a prompt has none.
        missing: Cell → why its scores can't be read.
    """

    prompts: tuple[str, ...]
    cells: Mapping[str, Mapping[str, Floats]]
    missing: Mapping[str, str]

    def metrics(self, row: Row) -> list[str]:
        """The metrics for which every measured checkpoint of a row has scores."""
        held = [self.cells.get(stored.record.cell, {}) for stored in measured(row)]
        return sorted(set.intersection(*map(set, held))) if held else []

    def array(self, row: Row, metric: str) -> Floats:
        """A row's scores, (S, P), by seed; raises KeyError when a checkpoint has none."""
        return np.stack([self.cells[stored.record.cell][metric] for stored in measured(row)])


def measured(row: Row) -> tuple[StoredRecord, ...]:
    """The row's checkpoints that were measured at all; one that diverged may not have been."""
    return tuple(stored for stored in row.stored if stored.record.metrics)


def read_panel_scores(panel: Panel) -> PanelScores:
    """Reads the scores of all the panel's measured checkpoints; those that can't be read are named."""
    return read_record_scores(panel.records)


def read_record_scores(records: Iterable[StoredRecord]) -> PanelScores:
    """The same of some of a panel's checkpoints."""
    means: dict[str, PromptMeans] = {}
    missing: dict[str, str] = {}
    for stored in records:
        if not stored.record.metrics:
            continue
        try:
            means[stored.record.cell] = prompt_means(read_scores(stored.folder))
        except UserError as error:
            file = stored.folder / SCORES_FILE
            missing[stored.record.cell] = (
                str(error).replace(str(file), SCORES_FILE) if file.exists() else f"{SCORES_FILE} is missing"
            )
    prompts = sorted({prompt for cell in means.values() for metric in cell.values() for prompt in metric})
    cells = {cell: {metric: _column(of[metric], prompts) for metric in of} for cell, of in means.items()}
    return PanelScores(tuple(prompts), cells, missing)


def read_document_scores(records: Iterable[StoredRecord]) -> PanelScores:
    """The scores of lm-eval's documents, which stand in the prompts' place."""
    read, missing = {}, {}
    for stored in records:
        try:
            read[stored.record.cell] = by_metric(read_docs(stored.folder))
        except UserError as error:
            missing[stored.record.cell] = str(error).replace(f"{stored.folder}/", "")
    documents = sorted({document for of in read.values() for scores in of.values() for document in scores})
    cells = {cell: {metric: _column(of[metric], documents) for metric in of} for cell, of in read.items()}
    return PanelScores(tuple(documents), cells, missing)


def _column(by_prompt: Mapping[str, float], prompts: Sequence[str]) -> Floats:
    return np.array([by_prompt.get(prompt, np.nan) for prompt in prompts])
