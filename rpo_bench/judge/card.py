"""The judge card: how reliable a judge is, measured on its own games."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.reading import read_bytes
from rpo_bench.files.validation import read_model
from rpo_bench.judge.agreement import kappas
from rpo_bench.judge.cautions import warnings_of
from rpo_bench.judge.questions import Game, Outcome, Question, first_won, questions_of
from rpo_bench.judge.storage import FOLDER, IDENTITY_FILE, judge_folders, read_identity
from rpo_bench.spec.settings import Frozen
from rpo_bench.stats.bootstrap import mean_over_prompts
from rpo_bench.stats.interval import QUESTION_LEVELS, Interval, empty
from rpo_bench.stats.rates import rate_interval
from rpo_bench.stats.seeding import generator

CARD_FILE = "card.json"

#: (question, model, baseline) → the truly better response.
Truth = Mapping[tuple[str, str, str], Outcome]


class Agreement(Frozen):
    """A judge's agreement with the truth: gold rewards or human labels."""

    by: str = Field(description="what the truth is taken from")
    accuracy: Interval = Field(description="share of games judged right, where the truth has a winner")
    kappa: float | None = Field(description="Cohen's, over win, tie and loss of both orders together")
    kappa_without_ties: float | None = Field(description="where neither says tie")
    longer: Interval = Field(description="how often the longer response is the better one, on these")
    questions: int = Field(ge=0)


class SanityRow(Frozen):
    """A policy of known quality: its win rate by the judge and by the truth."""

    name: str
    win_rate: Interval
    truth: Interval | None = None


class Usage(Frozen):
    """Resources used by its calls."""

    calls: int = 0
    seconds_per_call: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = Field(None, description="in the currency of the prices that were given")
    sent: tuple[dict[str, float | int | bool], ...] = Field(
        (), description="the parameters of the requests, as the server took them"
    )


class JudgeCard(Frozen):
    """How reliable a judge is."""

    judge: str
    identity: dict[str, Any]
    games: int = Field(ge=0, description="that took a call; identical responses take none")
    questions: int = Field(ge=0, description="judged in both orders")
    parse_rate: Interval = Field(description="share of games with a verdict")
    flip_rate: Interval = Field(
        description="of questions with two winners, those won by a place, not a response"
    )
    prefers_first: Interval = Field(description="share of decided games that the first response won")
    prefers_longer: Interval = Field(description="share of decided questions that the longer response won")
    agreement: Agreement | None = None
    sanity: tuple[SanityRow, ...] = ()
    usage: Usage = Usage()
    warnings: tuple[str, ...] = ()


def make_card(
    judge: str,
    identity: dict[str, Any],
    games: Sequence[Game],
    *,
    truth: Truth | None = None,
    truth_name: str = "the gold reward",
    sanity: Sequence[SanityRow] = (),
    usage: Usage | None = None,
) -> JudgeCard:
    """Makes a judge card.

    Args:
        judge: Its name.
        identity: Everything its judgements depend on.
        games: Games that took a call.
        truth: The truly better responses, where known.
        truth_name: Source of the truth.
        sanity: Policies of known quality.
        usage: Resources used by the calls.
    """
    questions = questions_of(games)
    flips = [one.flipped for one in questions if one.flipped is not None]
    card = JudgeCard(
        judge=judge,
        identity=identity,
        games=len(games),
        questions=sum(one.score is not None for one in questions),
        parse_rate=_of_questions("parse", games, lambda game: float(game.verdict is not None)),
        flip_rate=rate_interval(sum(flips), len(flips), levels=QUESTION_LEVELS),
        prefers_first=_of_questions("first", games, _first),
        prefers_longer=_prefers_longer(questions),
        agreement=None if not truth else _agreement(games, questions, truth, truth_name),
        sanity=tuple(sanity),
        usage=usage or Usage(),
    )
    return card.model_copy(update={"warnings": tuple(warnings_of(card))})


def write_card(folder: Path, card: JudgeCard) -> None:
    """Writes ``card.json`` into a judge's folder."""
    with atomic_file(folder / CARD_FILE) as temporary:
        temporary.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_card(folder: Path) -> JudgeCard | None:
    """Reads the card in a judge's folder; None without one. Raises UserError when it is damaged."""
    return read_model(folder / CARD_FILE, JudgeCard, "judge card")


def publish_cards(output: Path, into: Path) -> int:
    """Copies an output's judges and their cards to ``<into>/judgements``; returns their number.

    The replies aren't copied.

    Raises:
        UserError: One of them is damaged.
    """
    found = [folder for folder in judge_folders(output) if read_card(folder) is not None]
    for folder in found:
        read_identity(folder)
        target = into / FOLDER / folder.name
        target.mkdir(parents=True, exist_ok=True)
        for name in (IDENTITY_FILE, CARD_FILE):
            (target / name).write_bytes(read_bytes(folder / name))
    return len(found)


def mean_over_questions(values: Sequence[float], rng: np.random.Generator) -> Interval:
    """The mean of numbers in [0, 1], one per question, with a bootstrap interval; empty without any."""
    if not values:
        return empty()
    interval = mean_over_prompts(np.array(values), rng, bounds=(0.0, 1.0))
    return interval.model_copy(update={"levels": QUESTION_LEVELS if interval.levels else ()})


def _first(game: Game) -> float | None:
    won = first_won(game)
    return None if won is None else float(won)


def _of_questions(name: str, games: Sequence[Game], number: Any) -> Interval:
    """The mean over questions of a statistic of their games, with a bootstrap over questions."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for game in games:
        value = number(game)
        if value is not None:
            found.setdefault((game.question, game.model, game.baseline), []).append(value)
    means = [float(np.mean(values)) for values in found.values()]
    return mean_over_questions(means, generator("judge card", name))


def _prefers_longer(questions: Sequence[Question]) -> Interval:
    won = [
        (one.score > 0.5) == (one.model_length > one.baseline_length)
        for one in questions
        if one.score not in (None, 0.5) and one.model_length != one.baseline_length
        and one.score is not None
    ]  # fmt: skip
    return rate_interval(sum(won), len(won), levels=QUESTION_LEVELS)


def _agreement(games: Sequence[Game], questions: Sequence[Question], truth: Truth, by: str) -> Agreement:
    def right(game: Game) -> float | None:
        real = truth.get((game.question, game.model, game.baseline), "tie")
        if real == "tie" or game.verdict is None:
            return None
        return 0.5 if game.verdict == "tie" else float(game.verdict == real)

    pairs = [
        (one.outcome, truth[one.name, one.model, one.baseline])
        for one in questions
        if one.outcome is not None and (one.name, one.model, one.baseline) in truth
    ]
    kappa, kappa_without_ties = kappas(pairs)
    longer = [
        (real == "model") == (one.model_length > one.baseline_length)
        for one in questions
        if (real := truth.get((one.name, one.model, one.baseline), "tie")) != "tie"
        and one.model_length != one.baseline_length
    ]
    return Agreement(
        by=by,
        accuracy=_of_questions("accuracy", games, right),
        kappa=kappa,
        kappa_without_ties=kappa_without_ties,
        longer=rate_interval(sum(longer), len(longer), levels=QUESTION_LEVELS),
        questions=len(pairs),
    )
