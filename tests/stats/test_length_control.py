"""The length-controlled win rate is what is left at equal length, and its interval covers."""

import numpy as np
import pytest
from scipy.optimize import minimize

from rpo_bench.stats.length_control import length_controlled


def judged(
    rng: np.random.Generator, questions: int, merit: float, liking: float
) -> tuple[np.ndarray, np.ndarray]:
    """Scores 0 or 1 and length gaps: log-odds of a win are merit + liking · tanh(gap/sd), sd = 100."""
    gap = rng.normal(60, 100, questions)
    odds = merit + liking * np.tanh(gap / gap.std())
    return (rng.random(questions) < 1 / (1 + np.exp(-odds))).astype(float), gap


def test_it_is_the_maximum_of_the_likelihood(rng: np.random.Generator):
    scores, gap = judged(rng, 300, 0.3, 1.0)
    x = np.tanh(gap / gap.std())

    def loss(found: np.ndarray) -> float:
        odds = found[0] + found[1] * x
        return float((np.logaddexp(0, odds) - scores * odds).sum())

    best = minimize(loss, [0.0, 0.0], tol=1e-12).x
    found = length_controlled(scores, gap, rng, resamples=50)
    assert found.win_rate.point == pytest.approx(1 / (1 + np.exp(-best[0])), abs=1e-4)
    assert found.preference == pytest.approx(best[1], rel=1e-3)


def test_a_judge_that_likes_length_is_seen_through_and_the_interval_covers(rng: np.random.Generator):
    """Equal merit (0.5 at equal length) by a judge that likes length: the raw rate is near 0.67."""
    points, raw, inside = [], [], 0
    for _ in range(150):
        scores, gap = judged(rng, 200, 0.0, 1.5)
        found = length_controlled(scores, gap, rng, resamples=200)
        points.append(found.win_rate.point)
        raw.append(scores.mean())
        inside += found.win_rate.low <= 0.5 <= found.win_rate.high
    assert np.mean(raw) > 0.6
    assert np.mean(points) == pytest.approx(0.5, abs=0.015)
    assert 0.90 <= inside / 150 <= 0.99


def test_the_interval_is_that_of_questions_not_of_fitted_values(rng: np.random.Generator):
    """Half-width about 1.96 · √(p(1−p)/n) or more (0.069 at n = 200); fitted values would give a tenth."""
    scores, gap = judged(rng, 200, 0.0, 0.0)
    found = length_controlled(scores, gap, rng, resamples=1000).win_rate
    assert (found.high - found.low) / 2 > 0.06


def test_what_cannot_be_fitted_has_no_interval(rng: np.random.Generator):
    lost = length_controlled(np.zeros(20), rng.normal(size=20), rng)
    assert (lost.win_rate.point, lost.win_rate.low, lost.preference) == (0.0, None, None)
    assert length_controlled(np.full(3, np.nan), np.ones(3), rng).win_rate.point is None
    assert length_controlled(np.array([1.0]), np.array([5.0]), rng).win_rate.low is None
    same_length = length_controlled(np.array([1.0, 0.0, 1.0, 0.0]), np.zeros(4), rng, resamples=200)
    assert same_length.win_rate.point == pytest.approx(0.5)
    always_longer = length_controlled(np.array([1.0, 0.0, 1.0, 0.0]), np.full(4, 50.0), rng, resamples=99)
    assert (always_longer.win_rate.point, always_longer.win_rate.n, always_longer.preference) == (
        None,
        4,
        None,
    )
    one_sided = length_controlled(
        np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 2.0, -1.0, -2.0]), rng, resamples=99
    )
    assert 0 <= one_sided.win_rate.low <= one_sided.win_rate.high <= 1
