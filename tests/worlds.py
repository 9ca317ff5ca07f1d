"""Small result folders with scores given by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from results_factory import cell_spec, metric, record_of

from rpo_bench.analysis.panels import Panel, panels
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.results.samples import ScoreLine
from rpo_bench.results.schema import MetricValue
from rpo_bench.results.store import SCORES_FILE, cell_folder, read_results, write_record
from rpo_bench.spec.schema import CellSpec


def write_scored(
    root: Path,
    spec: CellSpec,
    scores: Mapping[str, Sequence[float | None]],
    extra: Mapping[str, MetricValue] = {},
) -> Path:
    """Writes a result with one sample per prompt p0, p1 …; ``scores`` are by metric, one per prompt."""
    folder = cell_folder(root, spec)
    prompts = len(next(iter(scores.values())))
    lines = [
        ScoreLine(prompt_id=f"p{i}", sample=0, scores={name: of[i] for name, of in scores.items()})
        for i in range(prompts)
    ]
    write_json_lines(folder / SCORES_FILE, lines)
    metrics = {name: metric([value for value in of if value is not None]) for name, of in scores.items()}
    write_record(folder, record_of(spec, metrics={**metrics, **extra}))
    return folder


def write_points(
    root: Path, points: Mapping[str, Mapping[float, Sequence[tuple[float, float]]]], reference: float = 0.0
) -> Path:
    """Writes method → strength → (KL, reward) per seed; on four prompts that differ by ±0.1 in reward."""
    shift = np.array([-0.1, 0.1, -0.1, 0.1])
    base = {"kl": [0.0] * 4, "reward": (reference + shift).tolist()}
    write_scored(root, cell_spec("reference", None), base)
    for method, strengths in points.items():
        for strength, seeds in strengths.items():
            for seed, (kl, reward) in enumerate(seeds):
                scores = {"kl": [kl] * 4, "reward": (reward + shift).tolist()}
                write_scored(root, cell_spec(method, strength, seed), scores)
    return root


def only_panel(root: Path) -> Panel:
    """The one panel of some results."""
    (panel,) = panels(read_results(root).records)
    return panel
