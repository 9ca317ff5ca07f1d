"""From games to what is told of each row: both orders make one score per question."""

from collections.abc import Sequence

from rpo_bench.judge.games import Game
from rpo_bench.judge.judgements import Judgement, Judgements, WinRates, win_rates

_RESAMPLES = 2_000


def row_of(label: str) -> str:
    """The row of a checkpoint's label: ``rpo-0.5`` of ``rpo-0.5-<seed>-<hash>``."""
    return label.rsplit("-", 2)[0] if label.count("-") >= 2 else label


def game_score(game: Game) -> float | None:
    """The model's score: its probability where the judge gives one, else 1, ½ or 0; None where unscored."""
    if game.probability is not None:
        return game.probability
    return None if game.verdict is None else {"model": 1.0, "tie": 0.5, "baseline": 0.0}[game.verdict]


def in_both_orders(games: Sequence[Game]) -> list[tuple[Game, Game]]:
    """The games of each question that was put in both orders, the un-swapped one first."""
    found: dict[tuple[str, str, str], dict[bool, Game]] = {}
    for game in games:
        found.setdefault((game.question, game.model, game.baseline), {})[game.swapped] = game
    return [(of[False], of[True]) for of in found.values() if len(of) == 2]


def judgements_of(games: Sequence[Game]) -> list[Judgements]:
    """By row and baseline: a question's score is the mean of its two games.

    A question that is scored in one order alone is unscored: which order it is would have a say in it.
    Questions of several training seeds are one question each, by its mean.
    """
    rows: dict[tuple[str, str], list[Judgement]] = {}
    for first, second in in_both_orders(games):
        scores = (game_score(first), game_score(second))
        score = None if scores[0] is None or scores[1] is None else (scores[0] + scores[1]) / 2
        one = Judgement(first.question, score, first.baseline_length, first.model_length)
        rows.setdefault((row_of(first.baseline), row_of(first.model)), []).append(one)
    return [Judgements(baseline, model, tuple(found)) for (baseline, model), found in rows.items()]


def row_win_rates(games: Sequence[Game], *, resamples: int = _RESAMPLES) -> list[WinRates]:
    """Win rates of every row with a verdict, by baseline, best first."""
    known = [one for one in judgements_of(games) if any(j.score is not None for j in one.judgements)]
    found = [win_rates(one, resamples=resamples) for one in known]
    return sorted(found, key=lambda rates: (rates.baseline, -rates.win_rate, rates.model))
