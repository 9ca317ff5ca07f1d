"""A metric in one file: how many responses say please."""

from collections.abc import Sequence

from rpo_bench.data.row import Prompt
from rpo_bench.metrics.protocol import Metric, MetricContext, SampleMetric, Score, Unscored
from rpo_bench.metrics.registry import METRICS
from rpo_bench.results.samples import StoredSample


class Politeness(SampleMetric):
    """The share of responses that say please; an empty text is unscored, not impolite."""

    name = "politeness"
    unit = "share"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """1 or 0 for each sample."""
        return [float("please" in s.text) if s.text.strip() else Unscored("empty text") for s in samples]


def family(context: MetricContext) -> list[Metric]:
    """What runs on every checkpoint; empty where it has nothing to say."""
    return [Politeness()]


METRICS.add("politeness", family)
