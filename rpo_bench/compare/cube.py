"""The scores that are compared, as one array, with its joint resamples."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rpo_bench.compare.panels import Panel
from rpo_bench.compare.scores import prompt_means
from rpo_bench.errors import UserError
from rpo_bench.hashing import hash_json
from rpo_bench.results.store import SCORES_FILE, StoredRecord, read_scores
from rpo_bench.stats.bootstrap import RESAMPLES
from rpo_bench.stats.joint import Joint, Term

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cube:
    """Scores by prompt of checkpoints × metrics, averaged over a prompt's samples.

    Attributes:
        prompts: The prompts' identities, sorted, (P,).
        columns: (cell, metric) → column.
        scores: (P, C), NaN for unscored.
        joint: The resamples that everything shares.
        unread: Cell → why its scores can't be read.
    """

    prompts: tuple[str, ...]
    columns: Mapping[tuple[str, str], int]
    scores: Floats
    joint: Joint
    unread: Mapping[str, str]

    @cached_property
    def means(self) -> Floats:
        """``Joint.means`` of the scores, (1 + P + R, C)."""
        return self.joint.means(self.scores)

    def has(self, cell: str, metric: str) -> bool:
        """Whether the checkpoint has scores of that metric."""
        return (cell, metric) in self.columns

    def mean(self, cell: str, metric: str) -> Floats:
        """(1 + P + R,) of a checkpoint's metric."""
        return np.asarray(self.means[:, self.columns[cell, metric]])

    def of(self, cell: str, metric: str) -> Floats:
        """A checkpoint's scores by prompt, (P,)."""
        return np.asarray(self.scores[:, self.columns[cell, metric]])

    def only(self, cells: Collection[str], metrics: Collection[str], prompts: NDArray[np.bool_]) -> "Cube":
        """The same of some checkpoints and metrics, with scores on some of the prompts (P,) alone."""
        keys = [key for key in self.columns if key[0] in cells and key[1] in metrics]
        scores = self.scores[:, [self.columns[key] for key in keys]]  # (P, C')
        kept = np.where(prompts[:, None], scores, np.nan)
        return Cube(self.prompts, {key: i for i, key in enumerate(keys)}, kept, self.joint, self.unread)

    def term(self, label: str, values: Sequence[Floats], scored: NDArray[np.bool_]) -> Term:
        """A method's part of a contrast, from (1 + P + R,) of each seed."""
        empty = np.empty((len(self.means), 0))
        return Term(label, 1.0, np.stack(values, axis=1) if values else empty, scored)


def read_cube(panel: Panel, records: Sequence[StoredRecord], resamples: int = RESAMPLES) -> Cube:
    """Reads the scores of measured checkpoints; those that can't be read are named in ``unread``.

    Args:
        panel: What they belong to: the resamples derive from its identity.
        records: The checkpoints.
        resamples: R.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    unread: dict[str, str] = {}
    for stored in records:
        if not stored.record.metrics:
            continue
        try:
            found[stored.record.cell] = prompt_means(read_scores(stored.folder))
        except UserError as error:
            missing = not (stored.folder / SCORES_FILE).exists()
            unread[stored.record.cell] = f"{SCORES_FILE} is missing" if missing else str(error).rstrip(".")
    prompts = sorted({prompt for cell in found.values() for metric in cell.values() for prompt in metric})
    keys = [(cell, metric) for cell, metrics in found.items() for metric in metrics]
    scores = np.full((len(prompts), len(keys)), np.nan)
    place = {prompt: row for row, prompt in enumerate(prompts)}
    for column, (cell, metric) in enumerate(keys):
        for prompt, value in found[cell][metric].items():
            scores[place[prompt], column] = value
    joint = Joint(panel_seed(panel), len(prompts), resamples)
    return Cube(tuple(prompts), {key: i for i, key in enumerate(keys)}, scores, joint, unread)


def panel_seed(panel: Panel) -> int:
    """What a panel's resamples derive from: what is measured, not where it lies."""
    spec = panel.spec
    identity = hash_json([spec.task_hash, spec.model_hash, spec.evaluation.model_dump(mode="json")])
    return int(identity[:15], 16)
