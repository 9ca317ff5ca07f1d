"""Bradley–Terry ratings of checkpoints from all of a judge's questions."""

from collections.abc import Sequence

import numpy as np

from rpo_bench.judge.questions import Question
from rpo_bench.stats.bradley_terry import RESAMPLES, Games, ratings
from rpo_bench.stats.interval import Interval
from rpo_bench.stats.seeding import generator


def rate(
    labels: Sequence[str], anchor: str | None, questions: Sequence[Question], resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """Bradley–Terry ratings in logits above the anchor's; empty without questions.

    Args:
        labels: The checkpoints to rate.
        anchor: The checkpoint with rating 0: the reference policy.
        questions: Unscored questions and those with other labels are ignored.
        resamples: Number of bootstrap resamples over questions.
    """
    games = games_of(labels, anchor, questions)
    if games is None:
        return {}
    return ratings(games, generator(*games.players, "rating"), resamples=resamples)


def games_of(labels: Sequence[str], anchor: str | None, questions: Sequence[Question]) -> Games | None:
    """The scored questions between the labels, each once; None without any, or without an anchor.

    If two checkpoints were judged against each other from both sides (each against SFT, and SFT against the
    reference policy), the same question occurs twice.
    """
    among = set(labels)
    once = {
        (one.name, frozenset((one.model, one.baseline))): one
        for one in sorted(questions, key=lambda one: (one.name, one.model, one.baseline))
        if one.points is not None and one.score is not None and {one.model, one.baseline} <= among
    }
    own = list(once.values())
    if anchor is None or not own:
        return None
    players = [anchor, *sorted(among - {anchor})]
    place = {label: index for index, label in enumerate(players)}
    names = {name: index for index, name in enumerate(sorted({one.name for one in own}))}
    return Games(
        players=tuple(players),
        question=np.array([names[one.name] for one in own]),
        first=np.array([place[one.model] for one in own]),
        second=np.array([place[one.baseline] for one in own]),
        score=np.array([one.points for one in own], dtype=np.float64),
    )
