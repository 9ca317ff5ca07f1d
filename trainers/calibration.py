"""Accuracy and calibration of score differences as predictors of the better response."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BINS = 10


@dataclass(frozen=True)
class Bin:
    """Pairs of similar confidence.

    Attributes:
        low: lower end of the confidence.
        high: upper end.
        pairs: how many there are.
        weight: their share of all weight.
        confidence: their mean confidence.
        accuracy: the share that was in the right order.
    """

    low: float
    high: float
    pairs: int
    weight: float
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class PairQuality:
    """The quality of a reward model on pairs with a known better response.

    Attributes:
        accuracy: share in the right order; a tie counts half.
        log_loss: mean of −log σ(difference), in nats; log 2 for a random model.
        calibration_error: expected calibration error, mean |accuracy − confidence| over the bins.
        bins: those with a pair in them.
    """

    accuracy: float
    log_loss: float
    calibration_error: float
    bins: tuple[Bin, ...]


def pair_quality(differences: Floats, weights: Floats) -> PairQuality:
    """Accuracy, log-loss and calibration of M pairs.

    The model's probability that the better response is the better one is σ(difference). Its confidence in
    whichever it prefers is σ(|difference|), from ½ to 1, in ten bins of equal width.

    Args:
        differences: score of the better response minus that of the worse; (M,).
        weights: of the pairs, with a sum above zero; (M,).
    """
    shares = weights / weights.sum()  # (M,)
    right = pair_accuracy(differences)
    confidence = 1.0 / (1.0 + np.exp(-np.abs(differences)))
    place = np.minimum(((confidence - 0.5) * 2 * _BINS).astype(np.int64), _BINS - 1)
    bins = []
    for index in np.unique(place):
        inside = place == index
        weight = float(shares[inside].sum())
        bins.append(
            Bin(
                low=0.5 + index / (2 * _BINS),
                high=0.5 + (index + 1) / (2 * _BINS),
                pairs=int(inside.sum()),
                weight=weight,
                confidence=float((shares * confidence)[inside].sum() / weight),
                accuracy=float((shares * right)[inside].sum() / weight),
            )
        )
    return PairQuality(
        accuracy=float((shares * right).sum()),
        log_loss=float((shares * np.logaddexp(0.0, -differences)).sum()),
        calibration_error=float(sum(b.weight * abs(b.accuracy - b.confidence) for b in bins)),
        bins=tuple(bins),
    )


def pair_accuracy(differences: Floats) -> Floats:
    """1 where the order is right, 0 where it is wrong, ½ for a tie; (M,)."""
    right: Floats = np.where(differences == 0, 0.5, differences > 0)
    return right
