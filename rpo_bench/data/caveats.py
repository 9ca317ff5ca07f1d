"""Warnings about data on which methods degenerate, in plain sentences."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rpo_bench.data.report import DataReport
from rpo_bench.data.row import Row

FEW_PROMPTS = 100
FEW_VALUES = 5
FAR_OUT = 8.0  # standard deviations; such a row has 64 times the usual weight in a squared loss
#: Spellings of special tokens in common tokenizers. A run's plan checks those of its own models.
_MARKS = re.compile(
    r"<\|[a-z][a-z0-9_]*\|>|</?s>|<(?:bos|eos|pad|unk|mask|sep|cls)>|<(?:start|end)_of_turn>|\[/?INST\]"
)
TURNS = ("\n\nHuman:", "\n\nAssistant:")
ONE_SIDED = 0.1  # if the rarer label has a smaller share, KTO's batches often lack it


@dataclass(frozen=True)
class DataWarning:
    """A warning about usable data.

    Attributes:
        code: a stable short name.
        sentence: the finding and its consequence.
    """

    code: str
    sentence: str


def warnings_of(report: DataReport, rows: Sequence[Row]) -> list[DataWarning]:
    """All warnings about the rows of a report."""
    return [
        DataWarning(code, sentence)
        for check in (_spread, _groups, _labels, _size, _repeats)
        for code, sentence in check(report)
    ] + [DataWarning(code, sentence) for code, sentence in _texts(rows)]


_Found = Iterator[tuple[str, str]]
_Check = Callable[[DataReport], _Found]


def _spread(report: DataReport) -> _Found:
    reward = report.reward
    if reward.distinct == 1:
        yield (
            "constant_rewards",
            f"Every reward is {reward.minimum:g}: only plain imitation (SFT) can learn from these data.",
        )
        return
    if reward.distinct <= FEW_VALUES:
        yield (
            "discrete_rewards",
            f"The rewards take only {reward.distinct} values: many responses to a prompt are tied, and "
            "methods on reward quantiles (QRPO) or the best of k can't distinguish them.",
        )
    for marker in reward.markers:
        yield (
            "sentinel_rewards",
            f"The reward {marker:g} is far from all others, like a marker of failed generations: it would "
            "dominate means, z-scores and squared losses; leave such rows out, or give them a reward.",
        )
    spread = max(reward.maximum - reward.mean, reward.mean - reward.minimum)
    furthest = spread / reward.sd if reward.sd > 0 else 0.0  # squares of tiny differences are 0
    if furthest > FAR_OUT:
        yield (
            "outlying_rewards",
            f"A reward is {furthest:.0f} standard deviations from the mean: it will dominate squared losses "
            "(RPO, DRO); clip the rewards if it is an artefact.",
        )


def _groups(report: DataReport) -> _Found:
    single = report.responses_per_prompt.get(1, 0)
    if single and report.with_reference_rewards < report.prompts:
        yield (
            "single_response",
            f"{_of(single, report.prompts)} have one response (K = 1): RPO's partition then equals that "
            "response's own reward and cancels it: rpo learns nothing from it, and rpo-released raises its "
            "probability at any reward. partition=leave_one_out refuses it, and SFT has no best of k. "
            "partition=reference_samples (with reference_rewards), DRO and KTO can use it.",
        )
    several = report.prompts - single
    if report.constant_prompts and report.reward.distinct > 1:
        yield (
            "constant_groups",
            f"{_of(report.constant_prompts, several)} with two or more responses have equal rewards for all "
            "of them: RPO and group-relative methods learn nothing from these, they give no pairs, and KTO "
            "labels them by the mean over all rows.",
        )


def _labels(report: DataReport) -> _Found:
    if report.reward.distinct == 1:
        return
    for rule, share in report.desirable_share.items():
        if share in (0.0, 1.0):
            which = "desirable" if share else "undesirable"
            yield (
                "one_label",
                f"Under label_rule={rule} every response is {which}: KTO has nothing to contrast.",
            )
        elif min(share, 1 - share) < ONE_SIDED:
            yield (
                "unbalanced_labels",
                f"Under label_rule={rule} {share:.0%} of the responses are desirable: weigh KTO's two kinds "
                "(weight_d · share over weight_u · rest between 1 and 1.5).",
            )


def _size(report: DataReport) -> _Found:
    if report.prompts < FEW_PROMPTS:
        yield (
            "few_prompts",
            f"{report.prompts} prompts are few: held-out intervals will be wide, and epochs short.",
        )
    partial = report.with_behaviour_logp
    if 0 < partial < report.rows:
        yield (
            "partial_behaviour_logp",
            f"{partial:,} of {report.rows:,} rows have behaviour_logp: it is used only when all have it.",
        )
    scored = report.with_reference_rewards
    if 0 < scored < report.prompts:
        yield (
            "partial_reference_rewards",
            f"{_of(scored, report.prompts)} have reference_rewards: partition=reference_samples needs all.",
        )


def _repeats(report: DataReport) -> _Found:
    duplicates = report.duplicates
    if duplicates.conflicting:
        yield (
            "conflicting_rewards",
            f"{duplicates.conflicting:,} combinations of prompt and response have more than one reward.",
        )
    if duplicates.rows:
        yield "duplicate_rows", f"{duplicates.rows:,} of {report.rows:,} rows are exact duplicates."
    if duplicates.near:
        yield (
            "near_equal_prompts",
            f"{duplicates.near:,} of {report.prompts:,} prompts differ from another one only in spacing, "
            "case or Unicode form: they stay on one side of the split, but count as separate prompts.",
        )
    if duplicates.prompts:
        yield (
            "prompt_under_two_ids",
            f"{duplicates.prompts:,} of the prompts have more than one prompt_id: their responses "
            "count as separate groups.",
        )
    if report.empty_responses:
        yield (
            "empty_responses",
            f"{report.empty_responses:,} of {report.rows:,} responses are empty: only an end-of-sequence.",
        )


def _texts(rows: Sequence[Row]) -> _Found:
    further = sum(any(turn in row.response for turn in TURNS) for row in rows)
    if further:
        yield (
            "further_turns",
            f"{further:,} of {len(rows):,} responses continue with another turn of the dialogue "
            "('\\n\\nHuman:' or '\\n\\nAssistant:'): a policy would learn to write both sides.",
        )
    repeated = sum(row.response.startswith(row.prompt) for row in rows)
    if repeated:
        yield (
            "prompt_in_response",
            f"{repeated:,} of {len(rows):,} responses begin with their whole prompt: if they are whole "
            "dialogues, remove the prompt from them, or the policy learns to repeat it.",
        )
    marked = Counter(mark for row in rows for mark in set(_MARKS.findall(f"{row.prompt} {row.response}")))
    if marked:
        held = sum(_MARKS.search(f"{row.prompt} {row.response}") is not None for row in rows)
        yield (
            "special_tokens",
            f"{held:,} of {len(rows):,} rows spell special tokens of some tokenizers, such as "
            f"'{marked.most_common(1)[0][0]}': they are read as plain text. If a chat template has written "
            "them, give the raw messages and --prompt-format chat.",
        )


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} prompts ({part / whole:.0%})"
