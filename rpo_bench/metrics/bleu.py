"""BLEU of every text against all others, for self-BLEU.

Sentence BLEU follows sacreBLEU: orders 1 to 4 (up to the text's length), clipped counts, brevity penalty
against the closest reference length, and exponential smoothing of zero matches.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rpo_bench.data.words import Ngram, ngrams

MAX_ORDER = 4


@dataclass(frozen=True)
class _Highest:
    """The highest count of an n-gram in one text, that text, and the highest in any other."""

    first: int
    owner: int
    second: int


def leave_one_out_bleu(texts: Sequence[list[str]]) -> list[float | None]:
    """BLEU (0 … 1) of each of N tokenised texts against the N − 1 others; None for texts without words.

    Texts without words aren't references either. A single text has no BLEU.
    """
    counts = [[Counter(ngrams(text, order)) for order in range(1, MAX_ORDER + 1)] for text in texts]
    highest = _highest_counts(counts)
    lengths = sorted(len(text) for text in texts if text)
    return [
        _bleu(index, counts[index], highest, _closest_other(len(text), lengths))
        if text and len(lengths) > 1
        else None
        for index, text in enumerate(texts)
    ]


def _highest_counts(counts: Sequence[Sequence[Counter[Ngram]]]) -> dict[Ngram, _Highest]:
    highest: dict[Ngram, _Highest] = {}
    for index, orders in enumerate(counts):
        for order in orders:
            for gram, count in order.items():
                best = highest.get(gram)
                if best is None:
                    highest[gram] = _Highest(count, index, 0)
                elif count > best.first:
                    highest[gram] = _Highest(count, index, best.first)
                elif count > best.second:
                    highest[gram] = _Highest(best.first, best.owner, count)
    return highest


def _bleu(
    index: int, orders: Sequence[Counter[Ngram]], highest: dict[Ngram, _Highest], reference_length: int
) -> float:
    """BLEU of text ``index`` from its n-gram counts by order."""
    logs = []
    smoothing = 1.0
    for order in orders:
        total = order.total()
        if total == 0:
            break
        matched = sum(min(count, _elsewhere(highest[gram], index)) for gram, count in order.items())
        if matched == 0:
            smoothing *= 2
        logs.append(math.log(matched / total if matched else 1 / (smoothing * total)))
    length = orders[0].total()
    brevity = min(0.0, 1 - reference_length / length)
    matched_any = any(_elsewhere(highest[gram], index) for gram in orders[0])
    return math.exp(brevity + sum(logs) / len(logs)) if matched_any else 0.0


def _elsewhere(best: _Highest, index: int) -> int:
    return best.second if best.owner == index else best.first


def _closest_other(length: int, lengths: list[int]) -> int:
    """The closest of the sorted lengths without one occurrence of ``length``; the shorter of two."""
    at = bisect_left(lengths, length)
    others = lengths[max(0, at - 1) : at] + lengths[at + 1 : at + 2]
    return min(others, key=lambda other: (abs(other - length), other))
