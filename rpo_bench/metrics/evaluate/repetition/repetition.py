"""The share of word n-grams that a text has said before, for ``evaluate.load`` by path."""

from typing import Any

import evaluate

from rpo_bench.data.words import ngrams, words
from rpo_bench.metrics.evaluate_info import of_texts


class Repetition(evaluate.Metric):
    """The share of word n-grams that a text has said before, mean over texts."""

    def _info(self) -> evaluate.MetricInfo:
        return of_texts(str(self.__doc__))

    def _compute(self, predictions: list[str], n: int = 3) -> dict[str, Any]:
        """``repetition``, over the texts with n words; None where there is none."""
        grams = [found for text in predictions if (found := ngrams(words(text), n))]
        shares = [1 - len(set(found)) / len(found) for found in grams]
        return {"repetition": sum(shares) / len(shares) if shares else None}
