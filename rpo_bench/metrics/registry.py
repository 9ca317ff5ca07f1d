"""Registry of the metric families that run on every checkpoint; plug-ins can add their own.

A plug-in registers a function that makes its metrics::

    METRICS.add("politeness", lambda context: [Politeness()])
"""

from collections.abc import Callable, Sequence

from rpo_bench.metrics.protocol import Metric, MetricContext
from rpo_bench.registry import Registry

MetricFamily = Callable[[MetricContext], Sequence[Metric]]

METRICS: Registry[MetricFamily] = Registry(
    "metric",
    "rpo_bench.metrics",
    {
        "reward": "rpo_bench.metrics.reward:reward_metrics",
        "toxicity": "rpo_bench.metrics.toxicity.choose:toxicity_metrics",
        "kl": "rpo_bench.metrics.kl:kl_metrics",
        "proxy": "rpo_bench.metrics.proxy:proxy_metrics",
        "references": "rpo_bench.metrics.references:reference_metrics",
        "length": "rpo_bench.metrics.length:length_metrics",
        "diversity": "rpo_bench.metrics.diversity:diversity_metrics",
    },
)
