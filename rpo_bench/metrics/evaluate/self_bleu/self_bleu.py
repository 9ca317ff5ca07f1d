"""The mean BLEU-4 of each text against all others, 0 to 1, for ``evaluate.load`` by this folder's path."""

from typing import Any

import evaluate

from rpo_bench.data.words import words
from rpo_bench.metrics.bleu import leave_one_out_bleu
from rpo_bench.metrics.evaluate_info import of_texts


class SelfBleu(evaluate.Metric):
    """The mean BLEU-4 of each text against all others, 0 to 1."""

    def _info(self) -> evaluate.MetricInfo:
        return of_texts(str(self.__doc__))

    def _compute(self, predictions: list[str]) -> dict[str, Any]:
        """``self_bleu``, over the texts that have a word; None for fewer than two of them."""
        found = leave_one_out_bleu([words(text) for text in predictions])
        scores = [score for score in found if score is not None]
        return {"self_bleu": sum(scores) / len(scores) if scores else None}
