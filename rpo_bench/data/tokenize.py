"""From rows to token ids, with one clear policy for what is too long."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rpo_bench.data.convert import (
    LabelRule,
    desirable_labels,
    group_ids,
    labels_in,
    pairs_in,
    rewards_of,
)
from rpo_bench.data.row import Row
from rpo_bench.errors import UserError
from rpo_bench.models.prompting import end_ids, prompt_ids
from rpo_bench.spec import PromptFormat
from trainers.examples import Examples
from trainers.pairs import lonely_rows

log = logging.getLogger(__name__)
LongPolicy = Literal["fail", "truncate", "drop"]
UNKNOWN_SHARE_WARNED = 0.1


@dataclass(frozen=True)
class Limits:
    """How many tokens fit.

    Attributes:
        context: tokens that the model takes, or None for no limit: prompt and response together for a
            decoder-only model, each by itself for an encoder-decoder.
        response: tokens of a response, end-of-sequence included, or None for no limit of its own.
        is_encoder_decoder: which of the two the model is.
    """

    context: int | None
    response: int | None
    is_encoder_decoder: bool

    def fits(self, prompt: int, response: int) -> bool:
        """Whether a prompt and a response of so many tokens can be used uncut."""
        kept_prompt, kept_response = self.kept(prompt, response)
        return kept_prompt == prompt and kept_response == response

    def kept(self, prompt: int, response: int) -> tuple[int, int]:
        """How many tokens of each are kept when too long ones are cut.

        A decoder-only model's response may fill the context but for half of it, or for the whole prompt
        where that is shorter; the prompt gets what is left.
        """
        if self.response is not None:
            response = min(response, self.response)
        if self.context is None:
            return prompt, response
        if self.is_encoder_decoder:
            return min(prompt, self.context), min(response, self.context)
        response = min(response, self.context - min(prompt, self.context // 2))
        return min(prompt, self.context - response), response


def tokenize_rows(
    rows: Sequence[Row],
    tokenizer: Any,
    context_length: int | None,
    *,
    is_encoder_decoder: bool,
    max_response_tokens: int | None = None,
    long: LongPolicy = "fail",
    desirable: LabelRule = "prompt_mean",
    prompt_format: PromptFormat | None = None,
) -> Examples:
    """Token ids of all rows, with their rewards, groups and labels.

    Prompts are tokenised as generation does it (``rpo_bench.models.prompting``); responses without special
    tokens but for the end-of-sequence that closes them.

    Args:
        rows: N rows.
        tokenizer: A Hugging Face tokenizer with an end-of-sequence token.
        context_length: The model's limit in tokens, or None.
        is_encoder_decoder: Whether prompt and response have the context each for themselves.
        max_response_tokens: A limit for responses, or None.
        long: What becomes of a row that doesn't fit. "fail" raises; "truncate" cuts the prompt on the left
            (a beginning-of-sequence token stays) and the response on the right, whose end-of-sequence is then
            missing, as it never came; "drop" leaves the row out.
        desirable: The rule of the labels.
        prompt_format: What is written around prompts; it also says which token ends a response.

    Raises:
        UserError: rows that are too long under "fail", or nothing left under "drop".
    """
    if tokenizer.eos_token_id is None:
        raise UserError("The tokenizer has no end-of-sequence token: a response couldn't end.")
    limits = Limits(context_length, max_response_tokens, is_encoder_decoder)
    prompts = _prompts(rows, tokenizer, is_encoder_decoder, prompt_format)
    responses = _responses(rows, tokenizer, end_ids(tokenizer, prompt_format)[0])
    _warn_of_unknown(tokenizer, [*prompts, *responses])
    too_long = [i for i in range(len(rows)) if not limits.fits(len(prompts[i]), len(responses[i]))]
    if too_long and long == "fail":
        raise UserError(_too_long(rows, too_long, prompts, responses, limits))
    if long == "drop":
        dropped = set(too_long)
        kept = [i for i in range(len(rows)) if i not in dropped]
        if not kept:
            raise UserError(f"All {len(rows):,} rows are longer than the model's context: none is left.")
        rows = [rows[i] for i in kept]
        prompts, responses = [prompts[i] for i in kept], [responses[i] for i in kept]
    elif too_long:
        prompts, responses = _cut(prompts, responses, limits, tokenizer.bos_token_id)
    if too_long:
        done = "left out" if long == "drop" else "cut"
        log.warning("%s rows didn't fit the model's context and were %s.", f"{len(too_long):,}", done)
    cut = long == "truncate" and bool(too_long)
    return _examples(rows, prompts, responses, desirable, with_behaviour=not cut)


def _prompts(
    rows: Sequence[Row], tokenizer: Any, is_encoder_decoder: bool, prompt_format: PromptFormat | None
) -> list[list[int]]:
    texts = dict.fromkeys(row.prompt for row in rows)
    ids = {text: prompt_ids(tokenizer, text, is_encoder_decoder, prompt_format) for text in texts}
    return [ids[row.prompt] for row in rows]


def _responses(rows: Sequence[Row], tokenizer: Any, end: int) -> list[list[int]]:
    texts = [row.response for row in rows]
    encoded = tokenizer(texts, add_special_tokens=False, verbose=False).input_ids
    return [[*ids, end] for ids in encoded]


def _warn_of_unknown(tokenizer: Any, sequences: Sequence[Sequence[int]]) -> None:
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return
    total = sum(len(ids) for ids in sequences)
    share = sum(list(ids).count(unknown) for ids in sequences) / total
    if share > UNKNOWN_SHARE_WARNED:
        log.warning("%.0f %% of the data's tokens are unknown to this tokenizer.", 100 * share)


def _too_long(
    rows: Sequence[Row],
    too_long: list[int],
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    limits: Limits,
) -> str:
    first = too_long[0]
    place = rows[first].source or f"row {first + 1}"
    what = []
    if limits.context is not None:
        what.append(f"the model's context of {limits.context:,} tokens")
    if limits.response is not None:
        what.append(f"the limit of {limits.response:,} tokens for a response")
    return (
        f"{len(too_long):,} of {len(rows):,} rows are longer than {' or '.join(what)}; the first is {place} "
        f"({len(prompts[first]):,} tokens of prompt, {len(responses[first]):,} of response): pass --truncate "
        "to cut prompts on the left and responses on the right, or --drop-long to leave such rows out."
    )


def _cut(
    prompts: Sequence[list[int]], responses: Sequence[list[int]], limits: Limits, bos: int | None
) -> tuple[list[list[int]], list[list[int]]]:
    short_prompts, short_responses = [], []
    for prompt, response in zip(prompts, responses, strict=True):
        n_prompt, n_response = limits.kept(len(prompt), len(response))
        short_prompts.append(_left_cut(prompt, n_prompt, bos))
        short_responses.append(response[:n_response])
    return short_prompts, short_responses


def _left_cut(prompt: list[int], n: int, bos: int | None) -> list[int]:
    """The last n tokens; a beginning-of-sequence token keeps its place at the front."""
    if n == len(prompt):
        return prompt
    if bos is not None and prompt[0] == bos and n > 1:
        return [bos, *prompt[len(prompt) - n + 1 :]]
    return prompt[len(prompt) - n :]


def _examples(
    rows: Sequence[Row],
    prompts: Sequence[list[int]],
    responses: Sequence[list[int]],
    rule: LabelRule,
    with_behaviour: bool,
) -> Examples:
    rewards, groups, labels = rewards_of(rows), group_ids(rows), labels_in(rows)
    behaviour: NDArray[np.float64] | None = None
    known = [row.behaviour_logp for row in rows if row.behaviour_logp is not None]
    if with_behaviour and len(known) == len(rows):  # of an uncut response only
        behaviour = np.array(known, dtype=np.float64)
    samples = {
        int(group): np.array(row.reference_rewards, dtype=np.float64)
        for group, row in zip(groups, rows, strict=True)
        if row.reference_rewards is not None
    }
    pairs = pairs_in(rows)
    lonely = len(lonely_rows(groups, pairs))
    if lonely:
        log.warning(
            "%s rows of preference pairs have lost the other response of their pair: methods on pairs leave "
            "them unused.",
            f"{lonely:,}",
        )
    return Examples(
        prompts=prompts,
        responses=responses,
        rewards=rewards,
        groups=groups,
        desirable=desirable_labels(rewards, groups, rule, labels),
        behaviour_logps=behaviour,
        reference_rewards=samples or None,
        pairs=pairs,
        labels=labels,
    )
