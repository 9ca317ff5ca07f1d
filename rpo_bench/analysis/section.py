"""One panel's comparison: every declared pair on every metric, at equal KL and at equal strength."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpo_bench.analysis.cube import Cube
from rpo_bench.analysis.families import PRIMARY, Family, adjusted
from rpo_bench.analysis.field import field_of
from rpo_bench.analysis.items import Item
from rpo_bench.analysis.most_different import most_different
from rpo_bench.analysis.pairs import Compared, Match, compare_pair, matches
from rpo_bench.analysis.panels import Panel
from rpo_bench.analysis.protocol_notes import protocol_notes
from rpo_bench.analysis.reach import Reach, reach, seeds_of
from rpo_bench.analysis.report import Comparison, MethodStanding, Section
from rpo_bench.analysis.standings import standings
from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.lm_eval.schema import SCORE
from rpo_bench.stats.bootstrap import RESAMPLES
from rpo_bench.stats.oracle import Oracle

#: Metrics to compare by default, where measured.
METRICS = ("reward", "kl", "toxicity", "accuracy", "distinct_2", "length")


@dataclass(frozen=True)
class Options:
    """Metrics, budgets and filters of a comparison.

    Attributes:
        metrics: Names; empty: the usual ones; ("all",): all that were measured.
        budgets: KL budgets in nats; empty: chosen from how far the methods go.
        at: "kl", "strength" or "both".
        level: Nominal coverage.
        prompts: How many of the prompts that differ most to name.
        task: Only results of this task.
        model: Only results of this base model.
        resamples: Of the bootstrap.
        extra_metrics: Compared as well as ``metrics``.
    """

    metrics: tuple[str, ...] = ()
    budgets: tuple[float, ...] = ()
    at: str = "both"
    level: float = 0.95
    prompts: int = 5
    task: str | None = None
    model: str | None = None
    resamples: int = RESAMPLES
    extra_metrics: tuple[str, ...] = ()


def compare_panel(
    panel: Panel, items: Sequence[Item], pairs: Family, cube: Cube, oracle: Oracle | str, options: Options
) -> Section:
    """Compares items of one panel.

    Args:
        panel: What they belong to.
        items: What is ranked.
        pairs: What is compared.
        cube: Scores of the items' checkpoints and of the reference policy.
        oracle: Of the cube's very prompts, or why there is none.
        options: Metrics, budgets and filters.
    """
    start = _start(panel, cube)
    trained = [item for item in items if item.trained]
    cap = None if isinstance(oracle, str) else oracle.end or None
    at = reach(trained, cube, options.level, cap, _fixing(trained, cube))
    budgets = options.budgets or ((at.budget,) if at.budget > 0 else ())
    budgets = budgets if options.at != "strength" and start is not None else ()
    names = chosen_metrics(items, options)
    compared = _with_primary(_pairs(pairs, names, cube, start, budgets, options))
    ranked: list[MethodStanding] = []
    if budgets and start is not None and cube.has(start, "reward"):
        known = None if isinstance(oracle, str) else oracle
        ranked = standings(trained, cube, start, Reach(at.points, budgets[0]), known, options.level)
    return Section(
        task=panel.task,
        model=panel.model,
        prompts=len(cube.prompts),
        metrics=names,
        items=tuple(item.label for item in items),
        family=pairs.words,
        budgets=budgets,
        standings=tuple(ranked),
        comparisons=tuple(adjusted([one.comparison for one in compared], options.level)),
        most_different=most_different(compared, cube, items, options.prompts),
        notes=_notes(panel, items, cube, start, budgets, oracle, options),
    )


def _fixing(trained: Sequence[Item], cube: Cube) -> tuple[str, ...]:
    """The methods that set the KL budget: the baselines, or both of two items compared with each other."""
    if len(trained) == 2:
        return tuple(item.label for item in trained)
    return field_of(trained, seeds_of(trained, cube)).baselines


def primary_comparisons(
    panel: Panel, pairs: Family, cube: Cube, budget: float, options: Options
) -> list[Comparison]:
    """The declared family alone, at one KL budget: the very numbers of ``compare_panel``.

    Args:
        panel: What the items belong to.
        pairs: What is compared.
        cube: KL and primary metric of the items' checkpoints and of the reference policy.
        budget: In nats.
        options: Metrics, budgets and filters.
    """
    at_kl = replace(options, at="kl")
    compared = _with_primary(_pairs(pairs, (PRIMARY,), cube, _start(panel, cube), (budget,), at_kl))
    return adjusted([one.comparison for one in compared], options.level)


def _start(panel: Panel, cube: Cube) -> str | None:
    """The untrained reference policy's cell, where its scores are known."""
    stored = () if panel.reference is None else panel.reference.stored
    return next((one.record.cell for one in stored if cube.has(one.record.cell, "kl")), None)


def _pairs(
    pairs: Family,
    names: Sequence[str],
    cube: Cube,
    start: str | None,
    budgets: Sequence[float],
    options: Options,
) -> list[Compared]:
    by = {metric: cube.holding(metric) for metric in names}
    return [
        one
        for first, second in pairs.pairs
        for match in _matches(first, second, budgets, options)
        for metric in names
        if not (match.kind == "kl" and metric.startswith("kl"))
        and (one := compare_pair(first, second, metric, match, by[metric], start, options.level)) is not None
    ]


def _matches(first: Item, second: Item, budgets: Sequence[float], options: Options) -> list[Match]:
    both = first.trained and second.trained
    found = [Match("kl", budget) for budget in budgets if both]
    return found if options.at == "kl" and found else [*found, *matches(first, second)]


def chosen_metrics(items: Sequence[Item], options: Options) -> tuple[str, ...]:
    """The metrics to compare; raises UserError for one that wasn't measured."""
    measured = {name for item in items for row in item.rows for s in row.stored for name in s.record.metrics}
    if options.metrics == ("all",):
        first = [name for name in METRICS if name in measured]
        return (*first, *sorted(measured - set(first)))
    harness = sorted(name for name in measured if name.startswith(SCORE))
    usual = options.metrics or (*(name for name in METRICS if name in measured), *harness)
    wanted = tuple(dict.fromkeys([*usual, *options.extra_metrics]))
    unknown = [name for name in wanted if name not in measured]
    if unknown:
        hint = did_you_mean(unknown[0], measured)
        raise UserError(f"The metric '{unknown[0]}' wasn't measured on these checkpoints.{hint}")
    return wanted


def _with_primary(compared: Sequence[Compared]) -> list[Compared]:
    """Marks the declared family: reward at matched KL, or at matched strength where there is no KL."""
    pairs_at_kl = {
        (one.comparison.first, one.comparison.second) for one in compared if one.comparison.matched == "kl"
    }
    found = []
    for one in compared:
        c = one.comparison
        at_kl = (c.first, c.second) in pairs_at_kl
        primary = c.metric == PRIMARY and (c.matched == "kl" if at_kl else True)
        found.append(replace(one, comparison=c.model_copy(update={"primary": primary})))
    return found


def _why_no_budget(items: Sequence[Item], cube: Cube) -> str:
    trained = [[s.record.cell for row in item.rows for s in row.stored] for item in items if item.trained]
    known = sum(any(cube.has(cell, "kl") for cell in cells) for cells in trained)
    if known < min(2, len(trained)):
        return "fewer than two methods have scores of their KL"
    return "the methods have barely moved from the reference policy"


def _notes(
    panel: Panel,
    items: Sequence[Item],
    cube: Cube,
    start: str | None,
    budgets: Sequence[float],
    oracle: Oracle | str,
    options: Options,
) -> tuple[str, ...]:
    notes = [*protocol_notes(panel)]
    for item in items:
        if item.lost:
            notes.append(f"{item.label}: {item.lost} checkpoints diverged and have no measurement.")
    names = {stored.record.cell: stored.folder.name for stored in panel.records}
    notes += [f"{names.get(cell, cell)}: {why}; it is left out." for cell, why in cube.unread.items()]
    if options.at != "strength":
        if start is None:
            notes.append("Nothing at equal KL: the untrained reference policy isn't among the results.")
        elif not budgets:
            notes.append(f"Nothing at equal KL: {_why_no_budget(items, cube)}.")
    if isinstance(oracle, str):
        notes.append(f"No oracle: {oracle}.")
    elif budgets and budgets[0] > oracle.end:
        notes.append(
            f"No regret: the oracle of {oracle.samples} samples per prompt ends at {oracle.end:.2g} nats."
        )
    return tuple(notes)
