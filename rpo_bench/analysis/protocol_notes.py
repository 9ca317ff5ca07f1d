"""Notes on differences in how the methods of a comparison were trained."""

from collections.abc import Iterator, Sequence

from rpo_bench.analysis.panels import Panel, Series
from rpo_bench.analysis.tuning import tuned_series
from rpo_bench.wording import listed

_FIRST = (
    "Trained by version 0.1, which sorted batches by length and clipped gradients at a fixed norm: {labels}. "
    "Both hold back methods whose losses have large gradients, so these rows don't compare methods fairly "
    "(docs/protocol.md)."
)


def protocol_notes(panel: Panel) -> tuple[str, ...]:
    """Caveats for a reader who compares a panel's methods, a sentence each."""
    trained = [series for series in panel.trained if series.rows[0].spec.data_hash]  # not elsewhere
    return (
        *_first_protocol(trained),
        *_tuning(trained),
        *_data_seen(trained),
        *_trust_regions(trained),
    )


def _first_protocol(trained: Sequence[Series]) -> Iterator[str]:
    old = [series.label for series in trained if series.rows[0].spec.training.of_version_0_1]
    if old:
        yield _FIRST.format(labels="all methods" if len(old) == len(trained) else listed(old))


def _tuning(trained: Sequence[Series]) -> Iterator[str]:
    """The number of configurations that learning rates were tuned over, if any were tuned."""
    found = {series.label: tuned_series(series) for series in trained}
    tuned = sorted({one.configurations for one in found.values() if one is not None})
    if not tuned:
        return
    over = f"{tuned[0]}" if len(tuned) == 1 else f"{tuned[0]}–{tuned[-1]}"
    yield f"Learning rates tuned over {over} configurations per method, on separate prompts."
    if rest := [label for label, one in found.items() if one is None]:
        yield f"Not tuned: {listed(rest)}."


def _data_seen(trained: Sequence[Series]) -> Iterator[str]:
    """The share of the responses that each method trained on, and how often, where methods differ."""
    methods: dict[str, list[str]] = {}
    for series in trained:
        if (seen := _seen(series)) is not None:
            methods.setdefault(seen, []).append(series.label)
    if len(methods) > 1:
        parts = [f"{listed(labels)} {seen}" for seen, labels in methods.items()]
        yield f"Methods trained on different parts of the data: {'; '.join(parts)}."


def _trust_regions(trained: Sequence[Series]) -> Iterator[str]:
    """The online methods whose trust region never held a gradient back."""
    idle = [series.label for series in trained if _never_clipped(series)]
    if idle:
        yield (
            f"The trust region never held a gradient back: {listed(idle)}. Without it they are plain policy "
            "gradients; more passes over the rollouts (inner_epochs) bring it into play."
        )


def _never_clipped(series: Series) -> bool:
    runs = [stored.record.stability for row in series.rows for stored in row.stored]
    shares = [run.get("ratio_clipped_share") for run in runs]
    return bool(shares) and all(share == 0 for share in shares)


def _seen(series: Series) -> str | None:
    """``on 25 % of the responses, 4.6 times each``; a range over all strengths and seeds."""
    found = [stored.record.seen for row in series.rows for stored in row.stored if stored.record.seen]
    if not found:
        return None
    shares = [100 * seen.rows_used / seen.rows for seen in found if seen.rows]
    times = [seen.presentations / seen.rows_used for seen in found if seen.rows_used]
    if not shares or not times:
        return None
    return f"on {_range(shares, '.0f')} % of the responses, {_range(times, '.1f')} times each"


def _range(values: list[float], form: str) -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low}–{high}"
