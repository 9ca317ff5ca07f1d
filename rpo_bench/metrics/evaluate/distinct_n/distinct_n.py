"""The share of different word n-grams among all, for ``evaluate.load`` by this folder's path."""

from typing import Any

import evaluate

from rpo_bench.data.words import ngrams, words
from rpo_bench.metrics.evaluate_info import of_texts


class DistinctN(evaluate.Metric):
    """The share of different word n-grams among all, over all texts."""

    def _info(self) -> evaluate.MetricInfo:
        return of_texts(str(self.__doc__))

    def _compute(self, predictions: list[str], n: int = 2) -> dict[str, Any]:
        """``distinct_n``; None where no text has n words."""
        grams = [gram for text in predictions for gram in ngrams(words(text), n)]
        return {"distinct_n": len(set(grams)) / len(grams) if grams else None}
