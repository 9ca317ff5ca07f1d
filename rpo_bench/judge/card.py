"""How far a judge can be believed: what its own games say, and how far it agrees with another judge."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rpo_bench.judge.games import Game
from rpo_bench.judge.scores import game_score, in_both_orders
from rpo_bench.results.schema import Interval
from rpo_bench.spec import Frozen
from rpo_bench.stats.rates import rate_interval

_LEVELS = ("questions",)


class JudgeCard(Frozen):
    """Shares with their Wilson intervals and n.

    Attributes:
        games: All.
        unscored: Why games have no verdict → how many.
        parsed: Of all games, those with a verdict.
        flips: Of questions decided in both orders, those whose winner changes with the order.
        first: Of decided games, those won by the response shown first.
        longer: Of decided games between responses of different length, those won by the longer one.
        ties: Of scored games.
    """

    games: int
    unscored: dict[str, int]
    parsed: Interval
    flips: Interval
    first: Interval
    longer: Interval
    ties: Interval


class Agreement(Frozen):
    """How far two judges say the same of the questions that both decide.

    Attributes:
        questions: Judged by both.
        share: Of them, those with the same outcome (win, tie or loss).
        kappa: Cohen's κ of these outcomes; None where it can't be had.
        kappa_decided: κ on the questions that neither calls a tie.
    """

    questions: int
    share: Interval
    kappa: float | None
    kappa_decided: float | None


def judge_card(games: Sequence[Game]) -> JudgeCard:
    """The card of a judge's games."""
    scored = [game for game in games if game.verdict is not None]
    decided = [game for game in scored if game.verdict != "tie"]
    unequal = [game for game in decided if game.model_length != game.baseline_length]
    both = in_both_orders(decided)
    return JudgeCard(
        games=len(games),
        unscored=dict(Counter(game.reason or "no reason" for game in games if game.verdict is None)),
        parsed=_share(len(scored), len(games)),
        flips=_share(sum(one.verdict != other.verdict for one, other in both), len(both)),
        first=_share(sum((game.verdict == "model") != game.swapped for game in decided), len(decided)),
        longer=_share(sum(map(_longer_won, unequal)), len(unequal)),
        ties=_share(len(scored) - len(decided), len(scored)),
    )


def agreement(mine: Sequence[Game], theirs: Sequence[Game]) -> Agreement:
    """Outcomes of the questions that both judges scored in both orders."""
    one, other = _outcomes(mine), _outcomes(theirs)
    shared = sorted(set(one) & set(other))
    pairs = [(one[key], other[key]) for key in shared]
    decided = [(a, b) for a, b in pairs if a and b]
    return Agreement(
        questions=len(pairs),
        share=_share(sum(a == b for a, b in pairs), len(pairs)),
        kappa=cohens_kappa(pairs),
        kappa_decided=cohens_kappa(decided),
    )


def cohens_kappa(pairs: Sequence[tuple[int, int]]) -> float | None:
    """κ = (p_o − p_e)/(1 − p_e) of two raters' labels (Cohen, 1960); None where both always say the same."""
    if not pairs:
        return None
    table = np.array(pairs)
    observed = float((table[:, 0] == table[:, 1]).mean())
    labels = np.unique(table)
    expected = float(sum((table[:, 0] == x).mean() * (table[:, 1] == x).mean() for x in labels))
    return None if expected >= 1.0 else (observed - expected) / (1.0 - expected)


def _outcomes(games: Sequence[Game]) -> dict[tuple[str, str, str], int]:
    """1, 0 or −1 by question: the sign of its two games' mean, less ½."""
    found = {}
    for first, second in in_both_orders(games):
        scores = game_score(first), game_score(second)
        if scores[0] is not None and scores[1] is not None:
            key = (first.question, first.model, first.baseline)
            found[key] = int(np.sign(round(scores[0] + scores[1] - 1.0, 9)))
    return found


def _longer_won(game: Game) -> bool:
    return (game.verdict == "model") == (game.model_length > game.baseline_length)


def _share(count: int, of: int) -> Interval:
    return rate_interval(count, of, levels=_LEVELS)
