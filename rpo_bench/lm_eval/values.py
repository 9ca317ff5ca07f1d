"""lm-eval's numbers as metrics of a record, and the alignment tax: the loss of capability by training."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np

from rpo_bench.lm_eval.schema import SCORE, TAX, DocScore, Measured, Metrics
from rpo_bench.results.schema import MetricValue
from rpo_bench.stats.bootstrap import intervals
from rpo_bench.stats.interval import Interval, point_only
from rpo_bench.stats.rates import rate_interval
from rpo_bench.stats.seeding import generator

#: The source of randomness that these intervals cover.
LEVELS = ("documents",)


def harness_metrics(measured: Measured, identity: str) -> Metrics:
    """``lm_eval/TASK/METRIC`` → value.

    Shares of correct documents have Wilson's interval, other means a bootstrap interval over documents.
    A number that isn't a mean over documents (such as corpus BLEU) has none.

    Args:
        measured: lm-eval's results.
        identity: Seeds the bootstrap.
    """
    scores = by_metric(measured.docs)
    found: Metrics = {}
    for task, name, point in _points(measured):
        key = f"{SCORE}{task}/{name}"
        values = np.array(list(scores.get(key, {}).values()))
        count = _documents(measured, task)
        if len(values) and np.isclose(values.mean(), point, rtol=1e-6, atol=1e-9):
            interval = _mean(values, identity, key)
        else:
            interval = point_only(point, count, 0.95)
        found[key] = MetricValue(
            interval=interval,
            unit="share" if len(values) and np.isin(values, (0.0, 1.0)).all() else "",
            higher_is_better=_better(measured, task, name),
            backend=_backend(measured, task),
            scored=count,
        )
    return found


def alignment_tax(
    before: Sequence[DocScore], after: Sequence[DocScore], metrics: Mapping[str, MetricValue], identity: str
) -> Metrics:
    """``alignment_tax/TASK/METRIC`` → the checkpoint's loss against its base model; negative for a gain.

    Documents are paired: the interval is a bootstrap interval over their differences.

    Args:
        before: The base model's scores.
        after: The checkpoint's.
        metrics: The checkpoint's ``lm_eval/…`` metrics.
        identity: Seeds the bootstrap.
    """
    earlier, later = by_metric(before), by_metric(after)
    found: Metrics = {}
    for key, value in metrics.items():
        shared = sorted(set(earlier.get(key, {})) & set(later.get(key, {})))
        if value.higher_is_better is None or not shared:
            continue
        sign = 1.0 if value.higher_is_better else -1.0
        losses = sign * np.array([earlier[key][doc] - later[key][doc] for doc in shared])
        name = TAX + key.removeprefix(SCORE)
        apart = len(later[key]) - len(shared)
        found[name] = MetricValue(
            interval=_difference(losses, identity, name),
            unit=value.unit,
            higher_is_better=False,
            backend=value.backend,
            scored=len(shared),
            unscored={"the base model has no score of the document": apart} if apart else {},
        )
    return found


def by_metric(docs: Sequence[DocScore]) -> dict[str, dict[str, float]]:
    """Metric's name → document → score."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for doc in docs:
        found[doc.name][doc.document] = doc.score
    return dict(found)


def _mean(values: np.ndarray, identity: str, key: str) -> Interval:
    if np.isin(values, (0.0, 1.0)).all() and len(values) > 1:
        return rate_interval(int(values.sum()), len(values), levels=LEVELS)
    return intervals(values[:, None], generator(identity, key), levels=LEVELS)[0]


def _difference(losses: np.ndarray, identity: str, key: str) -> Interval:
    """The interval of paired differences; none if all are equal, which leaves the spread unknown."""
    if len(losses) < 2 or np.ptp(losses) == 0:
        return point_only(float(losses.mean()), len(losses), 0.95)
    return intervals(losses[:, None], generator(identity, key), levels=LEVELS)[0]


def _points(measured: Measured) -> list[tuple[str, str, float]]:
    """(task, metric, value) of lm-eval's own aggregates; its standard errors aren't metrics."""
    found = []
    for task, values in measured.parts["results"].items():
        for key, value in values.items():
            name, _, chosen = key.partition(",")
            if not chosen or name.endswith("_stderr") or isinstance(value, bool | str) or value is None:
                continue
            if np.isfinite(value):
                found.append((task, name if chosen == "none" else f"{name}@{chosen}", float(value)))
    return found


def _documents(measured: Measured, task: str) -> int:
    return int((measured.parts["n-samples"][task] or {}).get("effective", 0))


def _better(measured: Measured, task: str, name: str) -> bool | None:
    known = measured.parts["higher_is_better"][task] or {}
    return known.get(name.partition("@")[0])


def _backend(measured: Measured, task: str) -> str:
    own, shots = measured.parts["versions"][task], measured.parts["n-shot"][task]
    return f"lm-eval {version('lm_eval')}, {task} version {own}, {shots} examples"
