"""How steadily the methods train: measures of their logs, averaged over runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from rpo_bench.site.board import Section


@dataclass(frozen=True)
class Steadiness:
    """A method's runs: how many, how many diverged, and the mean of every measure."""

    label: str
    runs: int
    diverged: int
    measures: Mapping[str, float]


@dataclass(frozen=True)
class Stability:
    """A section's methods; ``names`` are the measures that any of them has."""

    names: tuple[str, ...]
    rows: tuple[Steadiness, ...]


def stability(section: Section) -> Stability:
    """Averages the stability measures of every method over its strengths and seeds."""
    rows = []
    for series in section.panel.trained:
        records = [stored.record for row in series.rows for stored in row.stored]
        found: dict[str, list[float]] = {}
        for record in records:
            for name, value in record.stability.items():
                if value is not None:
                    found.setdefault(name, []).append(value)
        diverged = sum(record.status == "diverged" for record in records)
        means = {name: sum(values) / len(values) for name, values in found.items()}
        rows.append(Steadiness(series.label, len(records), diverged, means))
    names = {name for row in rows for name in row.measures} - {"diverged"}  # counted beside the runs
    return Stability(tuple(sorted(names)), tuple(rows))
