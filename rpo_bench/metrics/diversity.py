"""Diversity of wording, over the whole corpus and among the samples of one prompt (mode collapse).

Corpus metrics depend on the amount of text: compare them at equal numbers of prompts and samples.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from rpo_bench.data.row import Prompt
from rpo_bench.data.words import ngrams, words
from rpo_bench.metrics.bleu import leave_one_out_bleu
from rpo_bench.metrics.protocol import (
    SHARE,
    CorpusMetric,
    Metric,
    MetricContext,
    PromptMetric,
    SampleMetric,
    Score,
    Unscored,
)
from rpo_bench.results.samples import StoredSample
from rpo_bench.stats.arrays import Floats

ONE_SAMPLE = Unscored("one sample per prompt")
NO_WORDS = Unscored("no words")


def diversity_metrics(context: MetricContext) -> list[Metric]:
    """The metrics; those without ``_within`` are over the corpus."""
    orders = (1, 2, 3)
    return [
        *(Distinct(order) for order in orders),
        *(DistinctWithin(order) for order in orders),
        UniqueShare(),
        UniqueShareWithin(),
        NgramEntropy(),
        SelfBleu(),
        SelfBleuWithin(),
    ]


class _Counted(CorpusMetric):
    """A function of how often each item (an n-gram, a text) occurs."""

    def items(self, text: str) -> Sequence[Hashable]:
        """The items counted in a text."""
        raise NotImplementedError

    def counts(self, groups: Sequence[Sequence[StoredSample]]) -> list[Counter[Hashable]]:
        """The items of each prompt's samples, P counters."""
        return [Counter(item for sample in group for item in self.items(sample.text)) for group in groups]


class _ShareOfTypes(_Counted):
    """Distinct items over all items."""

    unit = "share"
    higher_is_better = True
    bounds = SHARE

    def compute(self, groups: Sequence[Sequence[StoredSample]]) -> Score:
        """Types / tokens."""
        total = _merged(self.counts(groups))
        return len(total) / total.total() if total else NO_WORDS

    def left_out(self, groups: Sequence[Sequence[StoredSample]]) -> Floats:
        """Leaving out a prompt removes the types that no other prompt has."""
        counts = self.counts(groups)
        holders = Counter(item for prompt in counts for item in prompt)
        tokens = sum(prompt.total() for prompt in counts)
        own = np.array([sum(holders[item] == 1 for item in prompt) for prompt in counts])
        left = np.array([tokens - prompt.total() for prompt in counts])
        with np.errstate(invalid="ignore"):
            return np.asarray((len(holders) - own) / left, dtype=np.float64)


class Distinct(_ShareOfTypes):
    """distinct-n (arXiv 1510.03055): distinct word n-grams over all word n-grams of all responses."""

    def __init__(self, order: int) -> None:
        self.order = order
        self.name = f"distinct_{order}"

    def items(self, text: str) -> Sequence[Hashable]:
        """Word n-grams."""
        return ngrams(words(text), self.order)


class UniqueShare(_ShareOfTypes):
    """Distinct responses over all responses; case and spacing are ignored."""

    name = "unique_share"

    def items(self, text: str) -> Sequence[Hashable]:
        """The text itself."""
        return [_normal(text)]


class NgramEntropy(_Counted):
    """Entropy of the distribution of word bigrams in all responses, by their frequencies."""

    name = "ngram_entropy"
    unit = "nats"
    higher_is_better = True

    def items(self, text: str) -> Sequence[Hashable]:
        """Word bigrams."""
        return ngrams(words(text), 2)

    def compute(self, groups: Sequence[Sequence[StoredSample]]) -> Score:
        """log M − Σ c log c / M of counts c that add up to M."""
        total = _merged(self.counts(groups))
        if not total:
            return NO_WORDS
        tokens = total.total()
        return math.log(tokens) - sum(map(_c_log_c, total.values())) / tokens

    def left_out(self, groups: Sequence[Sequence[StoredSample]]) -> Floats:
        """Leaving out a prompt changes only the terms of its own bigrams."""
        counts = self.counts(groups)
        total = _merged(counts)
        tokens, terms = total.total(), sum(map(_c_log_c, total.values()))
        found = []
        for prompt in counts:
            rest = tokens - prompt.total()
            changed = sum(_c_log_c(total[item] - c) - _c_log_c(total[item]) for item, c in prompt.items())
            found.append(math.log(rest) - (terms + changed) / rest if rest else math.nan)
        return np.array(found)


class DistinctWithin(PromptMetric):
    """distinct-n of one prompt's samples."""

    unit = "share"
    higher_is_better = True
    bounds = SHARE

    def __init__(self, order: int) -> None:
        self.order = order
        self.name = f"distinct_{order}_within"

    def compute(self, samples: Sequence[StoredSample]) -> Score:
        """Types / tokens of the prompt's n-grams."""
        if len(samples) < 2:
            return ONE_SAMPLE
        grams = [gram for sample in samples for gram in ngrams(words(sample.text), self.order)]
        return len(set(grams)) / len(grams) if grams else NO_WORDS


class UniqueShareWithin(PromptMetric):
    """The share of distinct texts among one prompt's samples."""

    name = "unique_share_within"
    unit = "share"
    higher_is_better = True
    bounds = SHARE

    def compute(self, samples: Sequence[StoredSample]) -> Score:
        """Distinct texts / samples."""
        if len(samples) < 2:
            return ONE_SAMPLE
        return len({_normal(sample.text) for sample in samples}) / len(samples)


class SelfBleu(SampleMetric):
    """Self-BLEU (arXiv 1802.01886): BLEU-4 of each response against all others; 1 is no diversity.

    Its interval treats the other responses as fixed.
    """

    name = "self_bleu"
    unit = "BLEU, 0 to 1"
    higher_is_better = False
    bounds = SHARE

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """BLEU of each sample against all the others."""
        return _self_bleu(samples, Unscored("no other response"))


class SelfBleuWithin(SampleMetric):
    """Self-BLEU among the samples of one prompt."""

    name = "self_bleu_within"
    unit = "BLEU, 0 to 1"
    higher_is_better = False
    bounds = SHARE

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """BLEU of each sample against the others of its prompt."""
        places: dict[str, list[int]] = {}
        for index, sample in enumerate(samples):
            places.setdefault(sample.prompt_id, []).append(index)
        found: list[Score] = [ONE_SAMPLE] * len(samples)
        for indices in places.values():
            scores = _self_bleu([samples[index] for index in indices], ONE_SAMPLE)
            for index, score in zip(indices, scores, strict=True):
                found[index] = score
        return found


def _self_bleu(samples: Sequence[StoredSample], alone: Unscored) -> list[Score]:
    texts = [words(sample.text) for sample in samples]
    found = leave_one_out_bleu(texts)
    missing = [alone if text else NO_WORDS for text in texts]
    return [reason if bleu is None else bleu for bleu, reason in zip(found, missing, strict=True)]


def _merged(counts: Sequence[Counter[Hashable]]) -> Counter[Hashable]:
    """Merges counters in linear time (adding them one by one is quadratic)."""
    total: Counter[Hashable] = Counter()
    for prompt in counts:
        total.update(prompt)
    return total


def _normal(text: str) -> str:
    return " ".join(text.lower().split())


def _c_log_c(count: int) -> float:
    return count * math.log(count) if count else 0.0
