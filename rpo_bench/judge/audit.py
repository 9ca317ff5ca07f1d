"""Audits a judge on pairs with a known better response and on policies of known quality."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.judge.card import JudgeCard, SanityRow, Truth, Usage, make_card, mean_over_questions
from rpo_bench.judge.default_pairs import better
from rpo_bench.judge.naming import judge_name
from rpo_bench.judge.pairing import REFERENCE, method_of
from rpo_bench.judge.protocol import Judge, Pair, StoredReply, parameters_sent
from rpo_bench.judge.questions import POINTS, Game, Outcome, questions_of
from rpo_bench.judge.running import Budget, Plan
from rpo_bench.results.samples import StoredSample
from rpo_bench.results.store import SAMPLES_FILE, SCORES_FILE, StoredRecord, read_samples, read_scores
from rpo_bench.stats.seeding import generator
from rpo_bench.tasks.stored_prompts import prompts_of

NULL_TEXT = "I am sorry, but I can't help with that."
NULL_MODEL, PROMPT_COPY, LONGER = "null model", "prompt copy", "longer of two"

_ONE, _OTHER = "audit: one", "audit: other"  # no checkpoint has these labels


@dataclass(frozen=True)
class Audit:
    """The pairs of an audit. The responses of a pair always differ.

    Attributes:
        pairs: All pairs; in pairs of a sanity row, the model's label is the row's name.
        truth: The better response, where known.
    """

    pairs: tuple[Pair, ...]
    truth: Mapping[tuple[str, str, str], Outcome]


@dataclass(frozen=True)
class _Answer:
    prompt: Prompt
    sample: StoredSample
    reward: float | None


def audit_of(records: Sequence[StoredRecord], n: int, include_path: Path | None = None) -> Audit:
    """Draws an audit's pairs from stored samples; the same results give the same audit.

    Args:
        records: Results with samples.
        n: Number of pairs from two checkpoints; each sanity row has a third as many.
        include_path: A folder of further tasks, for their prompts.

    Raises:
        UserError: There are no two different responses to compare.
    """
    sampled = [one for one in records if (one.folder / SAMPLES_FILE).is_file()]
    if not sampled:
        raise UserError("No result here has stored samples, which an audit needs.")
    answers = {one.record.cell: _answers(one, include_path) for one in sampled}
    rng = generator("audit", n, *sorted(answers))
    drawn = _drawn(sampled, answers, n, rng)
    if not drawn:
        raise UserError("An audit needs two different responses to one prompt, and none are stored.")
    base = next((one for one in sampled if method_of(one) == REFERENCE), sampled[0])
    drawn += _sanity(base, answers[base.record.cell], max(n // 3, 1), rng)
    truth = {
        (pair.question, pair.model, pair.baseline): better(mine, other)
        for pair, mine, other in drawn
        if mine is not None and other is not None
    }
    return Audit(tuple(pair for pair, _, _ in drawn), truth)


def audited(
    judge: Judge,
    audit: Audit,
    plan: Plan,
    games: Sequence[Game],
    replies: Mapping[str, StoredReply],
    budget: Budget,
) -> JudgeCard:
    """Makes a judge card from the audit's games.

    Args:
        judge: The judge.
        audit: The audit.
        plan: The audit's calls.
        games: All games of the judge.
        replies: The judge's replies by key.
        budget: The token prices.
    """
    wanted = {(pair.question, pair.model, pair.baseline) for pair in audit.pairs}
    own = [game for game in games if (game.question, game.model, game.baseline) in wanted]
    return make_card(
        judge_name(judge.identity),
        judge.identity,
        [game for game in own if game.model == _ONE],
        truth={key: value for key, value in audit.truth.items() if key[1] == _ONE},
        sanity=[_row(name, own, audit.truth) for name in (NULL_MODEL, PROMPT_COPY, LONGER)],
        usage=_usage([replies[key] for key in plan.calls if key in replies], budget),
    )


def _answers(stored: StoredRecord, include_path: Path | None) -> dict[tuple[str, int], _Answer]:
    samples = read_samples(stored.folder)
    prompts = {one.prompt_id: one for one in prompts_of(stored.record.spec, samples, include_path)}
    scores = read_scores(stored.folder) if (stored.folder / SCORES_FILE).is_file() else []
    rewards = {(line.prompt_id, line.sample): line.scores.get("reward") for line in scores}
    return {
        (one.prompt_id, one.sample): _Answer(
            prompts[one.prompt_id], one, rewards.get((one.prompt_id, one.sample))
        )
        for one in samples
    }


_Drawn = tuple[Pair, float | None, float | None]


def _drawn(
    records: Sequence[StoredRecord],
    answers: Mapping[str, dict[tuple[str, int], _Answer]],
    n: int,
    rng: np.random.Generator,
) -> list[_Drawn]:
    """n pairs of responses to one prompt, from two checkpoints or, if there is only one, from that."""
    found: list[_Drawn] = []
    for attempt in range(20 * n):
        if len(found) == n:
            break
        one, other = (records[i] for i in rng.integers(len(records), size=2))
        mine, theirs = answers[one.record.cell], answers[other.record.cell]
        keys = list(mine)
        first = mine[keys[int(rng.integers(len(keys)))]]
        options = [key for key in theirs if key[0] == first.prompt.prompt_id]
        if one.record.spec.task != other.record.spec.task or not options:
            continue
        second = theirs[options[int(rng.integers(len(options)))]]
        if first.sample.text != second.sample.text and first.sample.prompt == second.sample.prompt:
            name = f"{first.prompt.prompt_id}/{attempt}"
            found.append(_pair(one, name, (_ONE, _OTHER), first, second))
    return found


def _pair(
    stored: StoredRecord, name: str, labels: tuple[str, str], first: _Answer, second: _Answer
) -> _Drawn:
    pair = Pair(
        question=name,
        task=stored.record.spec.task,
        prompt=first.prompt,
        model=labels[0],
        baseline=labels[1],
        model_response=first.sample.text,
        baseline_response=second.sample.text,
    )
    return pair, first.reward, second.reward


def _sanity(
    base: StoredRecord, answers: dict[tuple[str, int], _Answer], n: int, rng: np.random.Generator
) -> list[_Drawn]:
    """Null model and prompt copy against reference samples, and the longer of two reference samples."""
    keys = list(answers)
    chosen = [answers[keys[i]] for i in rng.permutation(len(keys))[:n]]
    found = []
    for name in (NULL_MODEL, PROMPT_COPY):
        for one in chosen:
            text = NULL_TEXT if name == NULL_MODEL else one.prompt.text
            said = _Answer(one.prompt, one.sample.model_copy(update={"text": text}), None)
            question = f"{one.prompt.prompt_id}/{one.sample.sample}"
            found.append(_pair(base, question, (name, REFERENCE), said, one))
    for one in chosen:
        others = [
            other
            for key, other in answers.items()
            if key[0] == one.prompt.prompt_id and len(other.sample.text) < len(one.sample.text)
        ]
        if others:
            question = f"{one.prompt.prompt_id}/{one.sample.sample}"
            found.append(_pair(base, question, (LONGER, "shorter of two"), one, others[0]))
    return [one for one in found if not one[0].identical]


def _row(name: str, games: Sequence[Game], truth: Truth) -> SanityRow:
    questions = [one for one in questions_of(games) if one.model == name]
    known = [truth[key] for one in questions if (key := (one.name, one.model, one.baseline)) in truth]
    scores = [one.score for one in questions if one.score is not None]
    real = [POINTS[outcome] for outcome in known]
    return SanityRow(
        name=name,
        win_rate=mean_over_questions(scores, generator("sanity", name)),
        truth=mean_over_questions(real, generator("sanity", name)) if real else None,
    )


def _usage(replies: Sequence[StoredReply], budget: Budget) -> Usage:
    attempts = [one for reply in replies for one in reply.attempts]
    tokens = (
        sum(one.prompt_tokens or 0 for one in attempts),
        sum(one.completion_tokens or 0 for one in attempts),
    )
    seconds = sum(one.seconds for one in attempts)
    return Usage(
        calls=len(replies),
        seconds_per_call=seconds / len(replies) if replies else None,
        tokens_in=tokens[0],
        tokens_out=tokens[1],
        cost=budget.cost(tokens) if budget.input_price or budget.output_price else None,
        sent=parameters_sent(replies),
    )
