"""KL(π‖π_ref) in nats, on the policy's samples and exactly the sampled tokens.

With d_t = log π(y_t|x, y_<t) − log π_ref(y_t|x, y_<t):

- ``kl`` is the mean of Σ_t d_t per sequence: unbiased, and noisy where KL is small;
- ``kl_k3`` is the mean of Σ_t (e^(−d_t) − 1 + d_t): each term has the mean of d_t under π, is never negative,
  and varies less (Schulman, "Approximating KL divergence", 2020). Taken per token and summed it keeps the low
  variance that e^(−D) of a whole sequence would lose;
- ``kl_per_token`` is Σ d over all sampled tokens divided by their number.

All three estimate KL only under ancestral sampling. Under any other decoding they describe the decoded
samples, and ``backend`` says so.
"""

from collections.abc import Sequence

import numpy as np

from rpo_bench.data.row import Prompt
from rpo_bench.metrics.protocol import CorpusMetric, Metric, MetricContext, SampleMetric, Score, Unscored
from rpo_bench.results.samples import StoredSample
from rpo_bench.spec.sections import Decoding
from rpo_bench.stats.arrays import Floats

NO_LOGPS = Unscored("no log-probabilities of policy and reference")


def kl_metrics(context: MetricContext) -> list[Metric]:
    """The family."""
    backend = described(context.decoding)
    return [MeanLogRatio(backend), K3(backend), LogRatioPerToken(backend)]


def log_ratios(sample: StoredSample) -> Floats | None:
    """d_t of each token, (T,); None if policy or reference have no log-probs."""
    if sample.policy_logps is None or sample.reference_logps is None:
        return None
    ratios: Floats = np.asarray(sample.policy_logps) - np.asarray(sample.reference_logps)
    return ratios


def described(decoding: Decoding) -> str:
    """The metric's ``backend``: which samples the log-ratio is measured on."""
    if decoding.ancestral:
        return "token-exact, ancestral samples"
    default = Decoding().model_dump()
    changed = {
        name: value
        for name, value in decoding.model_dump().items()
        if name != "max_new_tokens" and value != default[name]
    }
    settings = ", ".join(f"{name} {value:g}" for name, value in changed.items())
    return f"token-exact, on samples decoded with {settings}: not an estimate of KL(π‖π_ref)"


class MeanLogRatio(SampleMetric):
    """The unbiased estimate: log π(y|x) − log π_ref(y|x) of each sample."""

    name = "kl"
    unit = "nats"

    def __init__(self, backend: str) -> None:
        self.backend = backend

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """Σ_t d_t of each sample."""
        ratios = [log_ratios(sample) for sample in samples]
        return [NO_LOGPS if d is None else float(d.sum()) for d in ratios]


class K3(SampleMetric):
    """The low-variance estimate."""

    name = "kl_k3"
    unit = "nats"

    def __init__(self, backend: str) -> None:
        self.backend = backend

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """Σ_t (e^(−d_t) − 1 + d_t) of each sample."""
        ratios = [log_ratios(sample) for sample in samples]
        return [NO_LOGPS if d is None else float((np.expm1(-d) + d).sum()) for d in ratios]


class LogRatioPerToken(CorpusMetric):
    """Nats per sampled token: all log-ratios over all tokens, so that every token has equal weight."""

    name = "kl_per_token"
    unit = "nats/token"

    def __init__(self, backend: str) -> None:
        self.backend = backend

    def compute(self, groups: Sequence[Sequence[StoredSample]]) -> Score:
        """Σ d / Σ tokens."""
        ratio, tokens = _totals(groups)
        return float(ratio.sum() / tokens.sum()) if tokens.sum() > 0 else NO_LOGPS

    def left_out(self, groups: Sequence[Sequence[StoredSample]]) -> Floats:
        """The same without each prompt."""
        ratio, tokens = _totals(groups)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((ratio.sum() - ratio) / (tokens.sum() - tokens))


def _totals(groups: Sequence[Sequence[StoredSample]]) -> tuple[Floats, Floats]:
    """Log-ratio and tokens of each prompt's samples, (P,) both."""
    found = [[d for sample in group if (d := log_ratios(sample)) is not None] for group in groups]
    ratio = [sum(float(d.sum()) for d in group) for group in found]
    tokens = [sum(len(d) for d in group) for group in found]
    return np.array(ratio, dtype=np.float64), np.array(tokens, dtype=np.float64)
