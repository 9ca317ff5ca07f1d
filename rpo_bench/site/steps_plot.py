"""Gain over steps: each method's gain at equal KL against its training steps and time."""

import math
from collections.abc import Mapping, Sequence

from rpo_bench.analysis.board import Section
from rpo_bench.analysis.steps import AtSteps
from rpo_bench.site.exhibit import Exhibit
from rpo_bench.site.line_plot import Line, Titles, pictures
from rpo_bench.site.palette import Look
from rpo_bench.wording import bounds, number


def gain_over_steps(section: Section, looks: Mapping[str, Look], name: str) -> Exhibit | None:
    """The exhibit; None where no method was trained with two numbers of steps."""
    found, ranking = section.evidence.by_steps, section.ranking
    if not found or ranking is None:
        return None
    lines = [_line(of) for of in found]
    titles = Titles(
        f"Gain over steps on {section.panel.task} with {section.panel.model}",
        f"{len(lines)} methods; the table below the plot has the numbers.",
        "log₁₀ of optimiser steps",
        "Gain in reward",
    )
    wide, narrow = pictures(lines, looks, titles, name)
    return Exhibit(
        title="Gain from more steps",
        caption=(
            f"Gain over the reference policy’s reward at {ranking.budget:g} nats when the same method trains "
            "for more steps. Each number of steps has its own frontier. The table has 95 % intervals over "
            f"training seeds and {section.prompts} prompts, and the training time in seconds."
        ),
        wide=wide,
        narrow=narrow,
        head=("Method", "Steps", "Seconds", "Gain", "95 % interval", "Reaches the budget"),
        rows=tuple(_cells(one) for of in found for one in of),
    )


def _line(of: Sequence[AtSteps]) -> Line:
    points = ((math.log10(one.steps), one.gain.point) for one in of)
    return Line(of[0].label, tuple((x, y) for x, y in points if y is not None))


def _cells(one: AtSteps) -> tuple[str, ...]:
    return (
        one.label,
        f"{one.steps:,}",
        number(one.seconds, 1),
        number(one.gain.point),
        bounds(one.gain),
        "no" if one.held else "yes",
    )
