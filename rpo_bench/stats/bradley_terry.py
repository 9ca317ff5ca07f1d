"""Bradley–Terry ratings of a round-robin, with a bootstrap over questions.

P(i beats j) = σ(θ_i − θ_j); a score between 0 and 1 counts as that share of a win. The ratings maximise the
likelihood of all games together (Bradley and Terry, 1952), less a weak penalty, which keeps the rating of a
player that has won or lost everything finite and moves no other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpo_bench.stats.arrays import Bools, Floats
from rpo_bench.stats.bootstrap import weight_chunks
from rpo_bench.stats.interval import QUESTION_LEVELS, Interval, made, point_only
from rpo_bench.stats.quantiles import percentile_bounds, widening

RESAMPLES = 1_000

_STEPS = 60
_HELD = 0.05  # of a game, drawn, that every player is taken to have played against the anchor
_FAR = 12.0  # logits
_CHUNK = 100  # resamples fitted at a time
_ROUNDING = 1e-9  # what ratings from equal games differ by


@dataclass(frozen=True)
class Games:
    """The scored questions of a round-robin.

    Attributes:
        players: Their labels, K; the first is the anchor.
        question: Which question each score is of, 0 … Q−1; (N,).
        first: The one who is scored, an index into ``players``; (N,).
        second: The one it is scored against; (N,).
        score: Of the first, in [0, 1]; (N,).
    """

    players: tuple[str, ...]
    question: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    score: Floats


def ratings(
    games: Games, rng: np.random.Generator, *, level: float = 0.95, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """Ratings in logits above the anchor's, which is 0; a player that no chain of games links to it has none.

    Questions are drawn with replacement, each with all of its games. Who has won everything, or nothing, has
    a rating that the penalty alone keeps finite, and no interval.

    Args:
        games: The scores.
        rng: The generator.
        level: Nominal coverage.
        resamples: Number of resamples, each fitted anew.
    """
    k, n = len(games.players), int(games.question.max(initial=-1)) + 1
    if n == 0:
        return {}
    won, played = _per_question(games, n)
    points = _fit(*_tables(won, played, np.ones((1, n))))[0]  # (K,)
    linked, share = _linked(games), _won_share(won, played)
    names = [games.players[i] for i in range(k) if linked[i]]
    if n < 2:
        return {name: point_only(float(points[games.players.index(name)]), n, level) for name in names}
    draws = np.concatenate(
        [
            _fit(*_tables(won, played, part))
            for weights in weight_chunks(n, rng, resamples)
            for part in np.array_split(weights, -(-len(weights) // _CHUNK))
        ]
    )  # (B, K)
    found = {games.players[0]: point_only(0.0, n, level)}
    for i in range(1, k):
        if linked[i]:
            beaten = 0 < share[i] < 1
            point = float(points[i])
            found[games.players[i]] = (
                _interval(point, draws[:, i], n, level) if beaten else point_only(point, n, level)
            )
    return found


def _interval(point: float, draws: Floats, n: int, level: float) -> Interval:
    """Of a rating, from its draws (B,); none where nothing varies."""
    if np.ptp(draws) <= _ROUNDING:
        return point_only(point, n, level)
    low, high = percentile_bounds(draws, point, level, widening(n, level))
    return made(
        (low, point, high),
        n=n,
        level=level,
        method="bootstrap",
        levels=QUESTION_LEVELS,
        resamples=len(draws),
    )


def _won_share(won: Floats, played: Floats) -> Floats:
    """The share of their games that players won, (K,), from the tables by question (Q, K²)."""
    k = round(won.shape[1] ** 0.5)
    wins, games = (table.sum(0).reshape(k, k).sum(1) for table in (won, played))
    return np.asarray(wins / np.maximum(games, 1))


def _linked(games: Games) -> Bools:
    """Which players some chain of games links to the anchor; (K,)."""
    found = np.zeros(len(games.players), dtype=bool)
    found[0] = True
    while True:
        near = found[games.first] | found[games.second]
        grown = found.copy()
        grown[games.first[near]] = True
        grown[games.second[near]] = True
        if (grown == found).all():
            return found
        found = grown


def _per_question(games: Games, n: int) -> tuple[Floats, Floats]:
    """What the row won against the column, and how often they met, question by question; (Q, K²) each."""
    k = len(games.players)
    won, played = np.zeros((n, k * k)), np.zeros((n, k * k))
    there = games.first * k + games.second
    back = games.second * k + games.first
    np.add.at(won, (games.question, there), games.score)
    np.add.at(won, (games.question, back), 1 - games.score)
    np.add.at(played, (games.question, there), 1.0)
    np.add.at(played, (games.question, back), 1.0)
    return won, played


def _tables(won: Floats, played: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Wins of each player (B, K), and games between each two (B, K, K), under question weights (B, Q)."""
    k = round(won.shape[1] ** 0.5)
    wins = (weights @ won).reshape(-1, k, k).sum(2)
    both = (weights @ played).reshape(-1, k, k)
    both[:, 0, 1:] += _HELD
    both[:, 1:, 0] += _HELD
    wins[:, 1:] += _HELD / 2
    wins[:, 0] += _HELD / 2 * (k - 1)
    return wins, both


def _fit(wins: Floats, played: Floats) -> Floats:
    """Ratings (B, K), the first 0, by Newton's method on the concave log-likelihood."""
    k = wins.shape[1]
    theta = np.zeros_like(wins)
    if k < 2:
        return theta
    index = np.arange(k)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(theta[:, None, :] - theta[:, :, None]))  # (B, K, K): P(row beats column)
        gradient = wins - (played * p).sum(2)
        curvature = played * p * (1 - p)
        hessian = -curvature
        hessian[:, index, index] += curvature.sum(2)
        step = np.linalg.solve(hessian[:, 1:, 1:], gradient[:, 1:, None])[..., 0]
        theta[:, 1:] = np.clip(theta[:, 1:] + np.clip(step, -2.0, 2.0), -_FAR, _FAR)
        if np.abs(step).max() < 1e-9:
            break
    return theta
