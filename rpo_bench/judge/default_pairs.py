"""A run's default games: every checkpoint against the reference policy and SFT, on a few prompts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.judge.card import Truth, make_card, write_card
from rpo_bench.judge.naming import judge_name
from rpo_bench.judge.pairing import REFERENCE, Selection, label_of, matches_of, method_of, pairs_of
from rpo_bench.judge.protocol import Judge, Pair
from rpo_bench.judge.questions import Outcome, Question, questions_of
from rpo_bench.judge.running import plan_of, run_judge
from rpo_bench.judge.scores import SFT, WIN_RATE, WIN_RATE_SFT, metrics_of
from rpo_bench.judge.storage import StoredGame, judge_folder, load_games, open_store, write_verdicts
from rpo_bench.judge.writing import metrics_by, write_metrics
from rpo_bench.results.store import SAMPLES_FILE, SCORES_FILE, StoredRecord, read_scores

PROMPTS = 48


@dataclass(frozen=True)
class Judged:
    """The result of judging a run.

    Attributes:
        judge: Its name.
        calls: New calls, without stored ones.
        changed: Number of changed records.
    """

    judge: str
    calls: int
    changed: int


def judge_results(
    output: Path,
    records: Sequence[StoredRecord],
    judge: Judge,
    *,
    prompts: int = PROMPTS,
    include_path: Path | None = None,
    report: Callable[[int, int], None] = lambda done, of: None,
) -> Judged:
    """Judges unjudged checkpoints, and writes win rates and ratings into records and the judge's card.

    Args:
        output: The folder with ``judgements``.
        records: Records of one task.
        judge: The judge.
        prompts: Number of held-out prompts, evenly spaced; one sample of each.
        include_path: A folder of further tasks, for their prompts.
        report: Called with the progress.

    Raises:
        UserError: The judge or a file is unusable.
    """
    name = judge_name(judge.identity)
    pairs = standard_pairs(records, prompts, include_path)
    if not pairs:
        return Judged(name, 0, 0)
    folder = judge_folder(output, judge)
    with open_store(folder, judge.identity) as store:
        account = run_judge(judge, plan_of(pairs, judge.max_chars), store, report=report)
        # Reference against SFT and SFT against reference are the same games: the card counts them once.
        called = {one.key: one.id for one in _last_first(store.games.values()) if one.key is not None}
    games = load_games(folder)
    write_verdicts(folder, games)
    questions = questions_of(games)
    own = judge.identity["backend"] == "embedded"  # runs use the task's own judge
    how = {"flags": {"--judge": "embedded", "--judge-prompts": prompts}} if own else None
    changed = write_metrics(records, metrics_of(records, questions, name), name, how=how)
    ids = set(called.values())
    judged = [game for game in games if (game.question, game.model, game.baseline, game.swapped) in ids]
    write_card(folder, make_card(name, judge.identity, judged, truth=stored_truth(records, questions)))
    return Judged(name, account.made, changed)


def unjudged(records: Sequence[StoredRecord], name: str) -> bool:
    """Whether any comparable checkpoint lacks the metrics of the judge ``name``."""
    for against, metric in ((REFERENCE, WIN_RATE), (sft_baseline(records), WIN_RATE_SFT)):
        if against is None:
            continue
        for one, _ in _matched(records, against):
            if metric not in metrics_by(one, name):
                return True
    return False


def standard_pairs(
    records: Sequence[StoredRecord], prompts: int, include_path: Path | None = None
) -> list[Pair]:
    """One sample of some prompts, against the reference policy and SFT; empty without both."""
    found: list[Pair] = []
    for against in (REFERENCE, sft_baseline(records)):
        if against is not None and _matched(records, against):
            found += pairs_of(records, Selection(against=against, include_path=include_path))
    names = list(dict.fromkeys(pair.prompt.prompt_id for pair in found))
    n = min(prompts, len(names))
    chosen = {names[i * len(names) // n] for i in range(n)}
    return [pair for pair in found if pair.prompt.prompt_id in chosen]


def sft_baseline(records: Sequence[StoredRecord]) -> str | None:
    """SFT at its largest strength, as in ``--against``: ``sft@8``."""
    strengths = [one.record.spec.strength or 0.0 for one in records if method_of(one) == SFT]
    return f"{SFT}@{max(strengths):g}" if strengths else None


def stored_rewards(
    records: Sequence[StoredRecord], questions: Sequence[Question]
) -> dict[str, dict[str, float]]:
    """Label → question → stored reward of the checkpoint's response."""
    wanted = {label for one in questions for label in (one.model, one.baseline)}
    found: dict[str, dict[str, float]] = {}
    for stored in records:
        if label_of(stored) in wanted and (stored.folder / SCORES_FILE).is_file():
            found[label_of(stored)] = {
                f"{line.prompt_id}/{line.sample}": value
                for line in read_scores(stored.folder)
                if (value := line.scores.get("reward")) is not None
            }
    return found


def stored_truth(records: Sequence[StoredRecord], questions: Sequence[Question]) -> Truth:
    """The response with the higher stored reward; questions with a missing reward are left out."""
    rewards = stored_rewards(records, questions)
    found: dict[tuple[str, str, str], Outcome] = {}
    for one in questions:
        mine = rewards.get(one.model, {}).get(one.name)
        other = rewards.get(one.baseline, {}).get(one.name)
        if mine is not None and other is not None:
            found[one.name, one.model, one.baseline] = better(mine, other)
    return found


def better(model: float, baseline: float) -> Outcome:
    """Which of two rewards is higher."""
    return "tie" if model == baseline else "model" if model > baseline else "baseline"


def _last_first(games: Iterable[StoredGame]) -> list[StoredGame]:
    return sorted(games, key=lambda game: game.id, reverse=True)


def _matched(records: Sequence[StoredRecord], against: str) -> list[tuple[StoredRecord, StoredRecord]]:
    sampled = [one for one in records if (one.folder / SAMPLES_FILE).is_file()]
    try:
        return matches_of(sampled, Selection(against=against))
    except UserError:
        return []
