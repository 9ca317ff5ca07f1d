"""Length of samples, whether they finish, and repetition within them."""

from collections.abc import Sequence

from rpo_bench.data.row import Prompt
from rpo_bench.data.words import ngrams, words
from rpo_bench.metrics.protocol import SHARE, Metric, MetricContext, SampleMetric, Score, Unscored
from rpo_bench.results.samples import StoredSample

#: Order of the n-grams for repetition.
REPETITION_ORDER = 3

NO_TOKENS = Unscored("the tokens that were sampled aren't known")


def length_metrics(context: MetricContext) -> list[Metric]:
    """The family."""
    return [Length(), Finished(), Repetition()]


class Length(SampleMetric):
    """Number of sampled tokens, including end-of-sequence."""

    name = "length"
    unit = "tokens"

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """The number of each sample's tokens; at least one if they are known."""
        return [float(len(sample.token_ids)) if sample.token_ids else NO_TOKENS for sample in samples]


class Finished(SampleMetric):
    """The share of samples that ended within the length limit."""

    name = "finished_share"
    unit = "share"
    higher_is_better = True
    bounds = SHARE

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """1 for a finished sample, 0 for one that was cut."""
        return [float(sample.finished) for sample in samples]


class Repetition(SampleMetric):
    """The share of repeated word trigrams in a text (seq-rep-n, arXiv 1908.04319)."""

    name = "repetition"
    unit = "share"
    higher_is_better = False
    bounds = SHARE

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """1 − distinct trigrams / trigrams of each sample."""
        return [_repetition(sample.text) for sample in samples]


def _repetition(text: str) -> Score:
    grams = ngrams(words(text), REPETITION_ORDER)
    if not grams:
        return Unscored(f"fewer than {REPETITION_ORDER} words")
    return 1 - len(set(grams)) / len(grams)
