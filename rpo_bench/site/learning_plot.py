"""Learning curves: one logged measure during training, a line for every strength and seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rpo_bench.analysis.board import Section
from rpo_bench.analysis.panels import Series
from rpo_bench.errors import UserError
from rpo_bench.results.store import StoredRecord, read_train_log
from rpo_bench.site.palette import Look
from rpo_bench.site.svg import Axes, Frame, Scale, figure, padded, path, tag
from rpo_bench.wording import counted

#: Candidate measures; the first that a section's logs contain is plotted.
FOLLOWED = {
    "probe_reward": "Reward of the probe prompts",
    "probe_kl": "KL on the probe prompts, nats",
    "log_ratio": "Mean log-ratio of the batch, nats",
}
_POINTS = 100


@dataclass(frozen=True)
class Run:
    """One training run: (step, value) of the plotted measure, and whether it diverged."""

    points: tuple[tuple[float, float], ...]
    diverged: bool


@dataclass(frozen=True)
class Learning:
    """The runs of a section's methods.

    Attributes:
        about: The plotted measure.
        runs: Series → its runs, by strength and seed.
        unread: Logs that couldn't be read.
    """

    about: str
    runs: Mapping[str, tuple[Run, ...]]
    unread: int


def learning(section: Section) -> Learning | None:
    """Reads a section's training logs; None where no log has a measure to plot."""
    logs, unread = _logs(section.panel.trained)
    for key, about in FOLLOWED.items():
        runs = {
            label: tuple(run for stored, log in of if (run := _run(stored, log, key)).points)
            for label, of in logs.items()
        }
        if any(len(run.points) > 1 for of in runs.values() for run in of):
            return Learning(about, {label: of for label, of in runs.items() if of}, unread)
    return None


_Log = list[dict[str, object]]


def _logs(series: Sequence[Series]) -> tuple[dict[str, list[tuple[StoredRecord, _Log]]], int]:
    logs: dict[str, list[tuple[StoredRecord, _Log]]] = {}
    unread = 0
    for one in series:
        for row in one.rows:
            for stored in row.stored:
                try:
                    logs.setdefault(one.label, []).append((stored, read_train_log(stored.folder)))
                except UserError:
                    unread += 1
    return logs, unread


def _run(stored: StoredRecord, log: _Log, key: str) -> Run:
    points = [
        (float(step), float(value))
        for entry in log
        if isinstance(step := entry.get("step"), (int, float))
        and isinstance(value := entry.get(key), (int, float))
    ]
    stride = -(-len(points) // _POINTS) or 1
    kept = points[::stride] + (points[-1:] if (len(points) - 1) % stride else [])
    return Run(tuple(kept), stored.record.status == "diverged")


def learning_plots(
    section: Section, found: Learning, looks: Mapping[str, Look], frame: Frame, name: str
) -> list[tuple[str, Markup]]:
    """(series, plot) for every method, all on the same scales."""
    every = [point for of in found.runs.values() for run in of for point in run.points]
    x = Scale(0.0, max(step for step, _ in every) or 1.0, *frame.x)
    y = Scale(*padded([value for _, value in every]), *frame.y)
    axes = Axes(frame, x, y, "optimiser step", "", (4, 4))
    plots = []
    for i, (label, of) in enumerate(found.runs.items()):
        lines = [_line(axes, run) for run in of]
        group = tag("g", *lines, class_=f"series runs {looks[label].colour}", data_method=label)
        lost = sum(run.diverged for run in of)
        summary = f"{counted(len(of), 'run')}, {lost} diverged." if lost else f"{counted(len(of), 'run')}."
        title = f"{found.about}: {label} on {section.panel.task}"
        plots.append((label, figure(frame, title, summary, f"{name}-{i}", [axes.draw(), group])))
    return plots


def _line(axes: Axes, run: Run) -> Markup:
    at = [(axes.x(step), axes.y(value)) for step, value in run.points]
    line = path(at, class_="run") if len(at) > 1 else Markup("")
    if not run.diverged:
        return line
    x, y = at[-1]
    cross = path([(x - 4, y - 4), (x + 4, y + 4)], class_="cross") + path(
        [(x - 4, y + 4), (x + 4, y - 4)], class_="cross"
    )
    return line + cross
