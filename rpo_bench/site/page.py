"""The board as a self-contained HTML file; its script loads samples from the folder beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rpo_bench.analysis.board import Board, Section
from rpo_bench.analysis.rows import BoardRow, Value
from rpo_bench.site import assets
from rpo_bench.site.about import about
from rpo_bench.site.columns import Column, shown_columns
from rpo_bench.site.data_files import DATA, json_name
from rpo_bench.site.downloads import JSON_FILE, csv_text, data_url
from rpo_bench.site.exhibit import Exhibit
from rpo_bench.site.exhibits import exhibits
from rpo_bench.site.frontier_plot import close_reach, frontier
from rpo_bench.site.judge_cards import judge_cards
from rpo_bench.site.learning_plot import learning, learning_plots
from rpo_bench.site.palette import REFERENCE, Look, looks
from rpo_bench.site.ranking_plot import budget_oracle, ranking, ranking_frame
from rpo_bench.site.row_ranks import row_ranks
from rpo_bench.site.stability_table import MEASURES, Stability, stability
from rpo_bench.site.svg import Frame, key
from rpo_bench.site.trade_offs import scatter
from rpo_bench.spec.sections import Decoding
from rpo_bench.stats.oracle import MIN_EFFECTIVE_SAMPLES
from rpo_bench.terminal.visible import visible
from rpo_bench.wording import bounds, counted, number, strength_text

_TRADE_WIDE = Frame(540, 340, left=50, right=12, top=34, bottom=50)
_TRADE_NARROW = Frame(360, 290, left=46, right=10, top=34, bottom=50)
_LEARNING = Frame(300, 180, left=40, right=8, top=8, bottom=42)
_RANKS = (
    "Rank of the method by its reward at the KL of the verdict above, over all strengths. The range holds "
    "every rank consistent with the pairwise differences over training seeds and prompts, adjusted by Holm. "
    "The best group ties with the leader: each difference is within chance by its own 95 % interval. "
    "Methods with one training seed are not ranked. A row added to the baselines is ranked against them and "
    "changes no other rank."
)
_COST = "Wall time to train one checkpoint, in seconds. The row's card lists tokens, rollouts and memory."
_TRADES = (("toxicity", "Toxicity and reward"), ("distinct_2", "Diversity and reward"))


@dataclass(frozen=True)
class Pictures:
    """A section's plots; None or empty where there is nothing to draw."""

    budget_oracle: float | None
    ranking_wide: Markup | None
    ranking_narrow: Markup | None
    frontier_wide: Markup | None
    frontier_narrow: Markup | None
    close: tuple[float, Markup, Markup] | None
    exhibits: tuple[Exhibit, ...]
    trades: tuple[tuple[str, Markup, Markup], ...]
    followed: str
    learning: tuple[tuple[str, Markup], ...]
    stability: Stability


def page(board: Board, roots: Sequence[Path]) -> str:
    """The whole page: the same board gives the same bytes.

    Args:
        board: What to show.
        roots: The folders that the results were read from; shown paths are relative to them.
    """
    environment = _environment()
    style, script = assets.style(environment), assets.script(environment)
    methods = looks(series.label for section in board.sections for series in section.panel.trained)
    judges, unread_cards = judge_cards(roots)
    values: dict[str, Any] = {
        "board": board,
        "pictures": [_pictures(section, methods, f"s{i}") for i, section in enumerate(board.sections)],
        "looks": methods,
        "legend": _legend(board, methods),
        "reference": REFERENCE,
        "columns": shown_columns(board.rows),
        "ranked": row_ranks(board),
        "about_ranks": _RANKS,
        "about_cost": _COST,
        "measures": MEASURES,
        "few_samples": int(MIN_EFFECTIVE_SAMPLES),
        "tasks": sorted({row.task for row in board.rows}),
        "models": sorted({row.model for row in board.rows}),
        "architectures": sorted({row.architecture for row in board.rows}),
        "strengths": _strengths(board),
        "titles": [f"{section.panel.task} with {section.panel.model}" for section in board.sections],
        "judges": judges,
        "about": about(board, roots, unread_cards),
        "csv": data_url(csv_text(board), "text/csv"),
        "json": f"{DATA}/{JSON_FILE}",
        "json_script": json_name(board),
        "style": style,
        "script": script,
        "policy": assets.policy(style, script),
    }
    return environment.get_template("index.html.j2").render(values)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rpo_bench.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters.update(
        number=number,
        bounds=bounds,
        strength=strength_text,
        hint=_hint,
        absent=_absent,
        compared=_compared,
        words=lambda name: name.replace("_", " "),
        lower_first=lambda text: text[:1].lower() + text[1:],
        key=key,
        tight=lambda text: text.replace(" %", "\u202f%"),
    )
    return environment


def _shown(value: object) -> object:
    """Makes invisible characters visible in all text from outside that a template prints."""
    foreign = isinstance(value, str | Path) and not isinstance(value, Markup)
    return visible(str(value)) if foreign else value


def _strengths(board: Board) -> list[str]:
    """The strengths to filter by, as displayed, sorted by name and value."""
    found = {(row.strength_name, row.strength) for row in board.rows if row.strength is not None}
    return [text for name, value in sorted(found) if (text := strength_text(name, value))]


def _legend(board: Board, methods: Mapping[str, Look]) -> list[tuple[str, Look]]:
    """The filter's methods: the reference policies, then the methods by name."""
    references = sorted({row.method for row in board.rows if row.strength is None})
    return [*((name, REFERENCE) for name in references), *sorted(methods.items())]


def _pictures(section: Section, methods: Mapping[str, Look], name: str) -> Pictures:
    draw = partial(frontier, section, methods)
    longest = max((len(row.method) for row in section.rows), default=0)
    margin = min(max(8 * longest, 80) + 26, 230)
    broad = Frame(1180, 500, left=56, right=margin, top=36, bottom=52)
    slim = Frame(400, 400, left=44, right=min(margin, 118), top=36, bottom=50)
    wide, narrow = _ranking_frames(section)
    runs = learning(section)
    return Pictures(
        budget_oracle=budget_oracle(section),
        ranking_wide=ranking(section, methods, wide, f"{name}-rw"),
        ranking_narrow=ranking(section, methods, narrow, f"{name}-rn"),
        frontier_wide=draw(broad, f"{name}-fw"),
        frontier_narrow=draw(slim, f"{name}-fn"),
        close=_close(section, draw, broad, slim, name),
        exhibits=exhibits(section, methods, name),
        trades=_trades(section, methods, name),
        followed=runs.about if runs else "",
        learning=tuple(learning_plots(section, runs, methods, _LEARNING, f"{name}-l")) if runs else (),
        stability=stability(section),
    )


def _ranking_frames(section: Section) -> tuple[Frame, Frame]:
    """Frames of the wide and the narrow plot."""
    return ranking_frame(section, 620, 122, 214), ranking_frame(section, 360, 92, 142, tall=True)


def _close(
    section: Section, draw: Callable[..., Markup | None], broad: Frame, slim: Frame, name: str
) -> tuple[float, Markup, Markup] | None:
    """A zoom into the crowded part of the frontier: its right end, wide and narrow plot."""
    reach = close_reach(section)
    if reach is None:
        return None
    wide, narrow = draw(broad, f"{name}-cw", reach), draw(slim, f"{name}-cn", reach)
    return None if wide is None or narrow is None else (reach, wide, narrow)


def _trades(
    section: Section, methods: Mapping[str, Look], name: str
) -> tuple[tuple[str, Markup, Markup], ...]:
    """Title, wide and narrow plot of each measured trade-off against reward."""
    found = []
    for metric, title in _TRADES:
        wide = scatter(section, "reward", metric, methods, _TRADE_WIDE, f"{name}-{metric}-w")
        narrow = scatter(section, "reward", metric, methods, _TRADE_NARROW, f"{name}-{metric}-n")
        if wide is not None and narrow is not None:
            found.append((title, wide, narrow))
    return tuple(found)


def _hint(value: Value, column: Column) -> str:
    """The tooltip of a number."""
    one = value.interval
    parts = [column.about]
    if one.low is None:
        parts.append("There is no interval.")
    else:
        parts.append(f"{one.level:.0%} interval over {', '.join(one.levels)}, by {one.method}.")
    if value.backend:
        parts.append(f"Scored by {value.backend}.")
    return " ".join(parts)


def _absent(column: Column, row: BoardRow) -> str:
    """Why a cell is empty."""
    if row.unmeasured == len(row.seeds):
        return "Every run diverged, so there is nothing to measure."
    if unscored := row.unscored.get(column.metric):
        return f"{counted(unscored, 'sample')} unscored."
    if column.metric == "regret":
        return "There is no oracle, or it isn't reliable at this KL."
    return "Not measured."


def _compared(section: Section) -> str:
    """Number of methods, runs and prompts in a section."""
    panel, evaluation = section.panel, section.panel.spec.evaluation
    runs = [stored.record for series in panel.trained for row in series.rows for stored in row.stored]
    seeds = sorted({len(row.seeds) for row in section.rows if row.strength is not None})
    parts = [counted(len(panel.trained), "method")]
    if runs:
        span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]}–{seeds[-1]}"
        strengths = sum(len(series.rows) for series in panel.trained)
        noun = "seed" if seeds == [1] else "seeds"
        parts.append(f"{counted(strengths, 'strength')} in all, {span} training {noun} each")
        lost = sum(record.status == "diverged" for record in runs)
        parts.append(f"{counted(len(runs), 'checkpoint')}{f', {lost} diverged' if lost else ''}")
    prompts = f"{counted(section.prompts, 'held-out prompt')} × {counted(evaluation.n_samples, 'sample')}"
    return f"{'; '.join(parts)}. Measured on {prompts}, {_sampling(evaluation.decoding)}."


def _sampling(decoding: Decoding) -> str:
    """How the samples were drawn; KL describes the policy itself only under ancestral sampling."""
    if decoding.ancestral:
        return "by ancestral sampling"
    plain = Decoding().model_dump()
    changed = {name: value for name, value in decoding.model_dump().items() if value != plain[name]}
    return f"sampled with {', '.join(f'{name} {value}' for name, value in changed.items())}"
