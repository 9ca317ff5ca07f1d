"""Proxy reward and its gap to the gold reward, which measures overoptimisation."""

from collections.abc import Sequence
from dataclasses import dataclass

from rpo_bench.data.row import Prompt
from rpo_bench.metrics.protocol import Metric, MetricContext, SampleMetric, Score, Unscored
from rpo_bench.metrics.reward import Reward
from rpo_bench.models.reward_record import Scale
from rpo_bench.results.samples import StoredSample
from rpo_bench.tasks.task import RewardFunction


@dataclass(frozen=True)
class Proxy:
    """A reward model that stands in for the gold reward.

    Attributes:
        function: Its scores.
        name: Its name and content hash.
        scale: Converts scores to units of the gold reward; None: no conversion.
    """

    function: RewardFunction
    name: str
    scale: Scale | None = None


class ProxyReward(Reward):
    """The mean proxy reward, in units of the gold reward if its scale is known.

    The scale gives the proxy the mean and deviation of the gold reward on samples of the reference policy, as
    in arXiv 2210.10760. It is measured once, when the proxy is trained, and doesn't depend on the comparison.
    """

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(proxy.function, name="proxy_reward", backend=proxy.name)
        self._scale = proxy.scale
        self.unit = "the proxy's own" if proxy.scale is None else "of the gold reward"

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """Scores all samples."""
        scores = super().score(prompts, samples)
        scale = self._scale
        if scale is None:
            return scores
        return [score if isinstance(score, Unscored) else scale.standardised(score) for score in scores]


class ProxyGap(SampleMetric):
    """Proxy minus gold reward, in units of the gold reward.

    It is about 0 for the reference policy, and positive for a policy that exploits the proxy.
    """

    name = "proxy_gap"
    unit = "of the gold reward"
    higher_is_better = False

    def __init__(self, proxy: ProxyReward, gold: Reward) -> None:
        self.backend = proxy.backend
        self._proxy = proxy
        self._gold = gold

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """The difference for each sample that has both."""
        pairs = zip(self._proxy.score(prompts, samples), self._gold.score(prompts, samples), strict=True)
        return [_difference(proxy, gold) for proxy, gold in pairs]


def _difference(proxy: Score, gold: Score) -> Score:
    if isinstance(proxy, Unscored):
        return proxy
    return gold if isinstance(gold, Unscored) else proxy - gold


def proxy_metrics(context: MetricContext) -> Sequence[Metric]:
    """Proxy reward and, if both have the same units, the gap."""
    if context.proxy is None:
        return []
    proxy = ProxyReward(context.proxy)
    if context.reward is None or context.proxy.scale is None:
        return [proxy]
    return [proxy, ProxyGap(proxy, Reward(context.reward))]
