"""The scores that are compared, as one array, with its joint resamples."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from rpo_bench.analysis.panels import Panel
from rpo_bench.analysis.scores import PanelScores
from rpo_bench.files.hashing import hash_json
from rpo_bench.lm_eval.schema import SCORE
from rpo_bench.stats.arrays import Bools, Floats
from rpo_bench.stats.bootstrap import RESAMPLES
from rpo_bench.stats.joint import Joint, Term


@dataclass(frozen=True)
class Cube:
    """Scores by prompt of checkpoints × metrics, averaged over a prompt's samples.

    Attributes:
        prompts: The prompts' identities, sorted, (P,).
        columns: (cell, metric) → column.
        scores: (P, C), NaN for unscored.
        joint: The resamples that everything shares.
        unread: Cell → why its scores can't be read.
        documents: The same by document of lm-eval's tasks, where some were run.
        kept: Cached results by key, since pairs share their sides.
    """

    prompts: tuple[str, ...]
    columns: Mapping[tuple[str, str], int]
    scores: Floats
    joint: Joint
    unread: Mapping[str, str]
    kept: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)
    documents: "Cube | None" = None

    @cached_property
    def means(self) -> Floats:
        """``Joint.means`` of the scores, (1 + P + R, C)."""
        return self.joint.means(self.scores)

    def holding(self, metric: str) -> "Cube":
        """The scores that a metric is among: by prompt, or by document."""
        return self.documents if metric.startswith(SCORE) and self.documents is not None else self

    def has(self, cell: str, metric: str) -> bool:
        """Whether the checkpoint has scores of that metric."""
        return (cell, metric) in self.columns

    def mean(self, cell: str, metric: str) -> Floats:
        """(1 + P + R,) of a checkpoint's metric."""
        return np.asarray(self.means[:, self.columns[cell, metric]])

    def of(self, cell: str, metric: str) -> Floats:
        """A checkpoint's scores by prompt, (P,)."""
        return np.asarray(self.scores[:, self.columns[cell, metric]])

    def only(self, cells: Collection[str], metrics: Collection[str], prompts: Bools) -> "Cube":
        """The same of some checkpoints and metrics, with scores on some of the prompts (P,) alone."""
        keys = [key for key in self.columns if key[0] in cells and key[1] in metrics]
        scores = self.scores[:, [self.columns[key] for key in keys]]  # (P, C')
        kept = np.where(prompts[:, None], scores, np.nan)
        return Cube(self.prompts, {key: i for i, key in enumerate(keys)}, kept, self.joint, self.unread)

    def term(self, label: str, values: Sequence[Floats], scored: Bools) -> Term:
        """A method's part of a contrast, from (1 + P + R,) of each seed."""
        empty = np.empty((len(self.means), 0))
        return Term(label, 1.0, np.stack(values, axis=1) if values else empty, scored)


def cube_of(panel: Panel, scores: PanelScores, metrics: Collection[str], resamples: int = RESAMPLES) -> Cube:
    """Some metrics of a panel's scores, with the panel's resamples.

    Args:
        panel: What they belong to: the resamples derive from its identity.
        scores: As read.
        metrics: Names; those without a score per prompt are left out.
        resamples: R.
    """
    keys = [(cell, metric) for cell, of in scores.cells.items() for metric in of if metric in metrics]
    columns = [scores.cells[cell][metric] for cell, metric in keys]
    table = np.stack(columns, axis=1) if columns else np.empty((len(scores.prompts), 0))
    places = {key: i for i, key in enumerate(keys)}
    return Cube(scores.prompts, places, table, panel_joint(panel, scores, resamples), scores.missing)


def panel_joint(panel: Panel, scores: PanelScores, resamples: int = RESAMPLES) -> Joint:
    """A panel's resamples: they depend on what is measured, not on file paths."""
    return Joint(panel_seed(panel), len(scores.prompts), resamples)


def panel_seed(panel: Panel) -> int:
    """The seed of a panel's resamples: it depends on what is measured, not on file paths."""
    spec = panel.spec
    identity = hash_json([spec.task_hash, spec.model_hash, spec.evaluation.model_dump(mode="json")])
    return int(identity[:15], 16)
