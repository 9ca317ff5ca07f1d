"""Accuracy and calibration of pairwise scores, worked out by hand."""

import math

import numpy as np
import pytest

from trainers.calibration import pair_quality

LOG3 = math.log(3)  # σ(log 3) = ¾


def test_a_model_that_knows_nothing():
    """All differences 0: half right by ties, log 2, and a confidence of ½ that is just that."""
    quality = pair_quality(np.zeros(4), np.ones(4))
    assert (quality.accuracy, quality.calibration_error) == (0.5, 0.0)
    assert quality.log_loss == pytest.approx(math.log(2))
    assert [(b.low, b.high, b.pairs) for b in quality.bins] == [(0.5, 0.55, 4)]


def test_a_calibrated_model():
    """Confidence ¾ in four pairs, of which three are right."""
    quality = pair_quality(np.array([LOG3, LOG3, LOG3, -LOG3]), np.ones(4))
    assert quality.accuracy == 0.75
    assert quality.calibration_error == pytest.approx(0.0)
    assert quality.log_loss == pytest.approx(-(3 * math.log(0.75) + math.log(0.25)) / 4)


def test_an_overconfident_model_and_weights():
    """Confidence ¾ in two pairs: the wrong one weighs 3, the right one 1, so |¼ − ¾| = ½."""
    quality = pair_quality(np.array([LOG3, -LOG3]), np.array([1.0, 3.0]))
    assert quality.accuracy == 0.25
    assert quality.calibration_error == pytest.approx(0.5)


def test_bins_cover_all_confidences():
    """Differences 0 … 40: confidences from ½ to 1, of which 1 belongs to the last bin."""
    quality = pair_quality(np.array([0.0, 0.3, 1.0, 2.0, 40.0]), np.ones(5))
    assert sum(b.pairs for b in quality.bins) == 5
    assert quality.bins[-1].high == 1.0
    assert sum(b.weight for b in quality.bins) == pytest.approx(1.0)
