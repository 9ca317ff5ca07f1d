"""Sensitivity to tuning: a method's expected best area over the number of learning rates tried."""

from collections.abc import Mapping

from rpo_bench.analysis.board import Section
from rpo_bench.analysis.tuning import TunedSeries, tuned_series
from rpo_bench.site.exhibit import Exhibit
from rpo_bench.site.line_plot import Line, Titles, pictures
from rpo_bench.site.palette import Look
from rpo_bench.wording import number


def tuning_curves(section: Section, looks: Mapping[str, Look], name: str) -> Exhibit | None:
    """The exhibit; None where no record says how its learning rate was tuned."""
    tuned = {series.label: tuned_series(series) for series in section.panel.trained}
    found = {label: one for label, one in tuned.items() if one is not None and len(one.best_of) > 1}
    if not found:
        return None
    lines = [
        Line(label, tuple((float(k), area) for k, area in enumerate(one.best_of, start=1)))
        for label, one in found.items()
    ]
    caps = sorted({one.cap for one in found.values() if one.cap is not None})
    cap = ", ".join(f"{cap:g}" for cap in caps)
    titles = Titles(
        f"Gain by tuning on {section.panel.task} with {section.panel.model}",
        f"{len(lines)} methods; the table below the plot has the numbers.",
        "learning rates tried",
        "Expected best mean gain",
    )
    wide, narrow = pictures(lines, looks, titles, name)
    return Exhibit(
        title="How much tuning each method needs",
        caption=(
            "The best of k learning rates drawn at random from those tried: expected mean gain over the "
            f"reference policy for KL budgets up to {cap} nats, on prompts used for neither training nor "
            "testing. A steep line means that the method depends on tuning."
        ),
        wide=wide,
        narrow=narrow,
        head=("Method", "Configurations", "Best of one", "Best of all", "Gain from tuning"),
        rows=tuple(_cells(label, one) for label, one in found.items()),
    )


def _cells(label: str, one: TunedSeries) -> tuple[str, ...]:
    first, last = one.best_of[0], one.best_of[-1]
    return label, str(one.configurations), number(first), number(last), number(last - first)
