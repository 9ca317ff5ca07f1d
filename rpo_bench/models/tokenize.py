"""Tokenises rows, with an explicit policy for rows that are too long."""

import logging
from collections.abc import Sequence
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
from rpo_bench.data.limits import Limits
from rpo_bench.data.row import Row
from rpo_bench.errors import UserError
from rpo_bench.models.cutting import cut_prompt, least_prompt
from rpo_bench.models.prompting import logged_response, prompt_ids, response_ids
from rpo_bench.models.special_tokens import check_special
from rpo_bench.spec.sections import PromptFormat
from trainers.examples import Examples
from trainers.pairs import lonely_rows

log = logging.getLogger(__name__)
LongPolicy = Literal["fail", "truncate", "drop"]
UNKNOWN_SHARE_WARNED = 0.1


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

    Prompts are tokenised as in generation (``rpo_bench.models.prompting``). Responses get no special tokens
    except their end token.

    Args:
        rows: N rows.
        tokenizer: A Hugging Face tokenizer with an end-of-sequence token.
        context_length: The model's limit in tokens, or None.
        is_encoder_decoder: Whether prompt and response have separate contexts.
        max_response_tokens: A limit for responses, or None.
        long: How rows that don't fit are handled. "fail" raises. "drop" leaves the row out. "truncate" cuts
            the prompt's text at its beginning, keeping special tokens and the format, and the response at
            its end, without an end token. Responses to one prompt that differ only in their rewards after
            cutting are left out.
        desirable: The labelling rule.
        prompt_format: The prompt format; it also sets the end token of responses.

    Raises:
        UserError: a row is too long under "fail", or no row is left.
    """
    if tokenizer.eos_token_id is None:
        raise UserError("The tokenizer has no end-of-sequence token, which responses need.")
    limits = Limits(context_length, max_response_tokens, is_encoder_decoder)
    prompts = _prompts(rows, tokenizer, is_encoder_decoder, prompt_format)
    logged = [logged_response(row.prompt, row.response, prompt_format) for row in rows]
    responses = response_ids(tokenizer, logged, prompt_format)
    check_special(tokenizer, [row.prompt for row in rows], [row.response for row in rows], prompt_format)
    _warn_of_unknown(tokenizer, [*prompts, *responses])
    too_long = [i for i in range(len(rows)) if not limits.fits(len(prompts[i]), len(responses[i]))]
    if too_long and long == "fail":
        raise UserError(_too_long(rows, too_long, prompts, responses, limits))
    if not too_long:
        return _examples(rows, prompts, responses, desirable, with_behaviour=True)
    if long == "drop":
        kept = sorted(set(range(len(rows))) - set(too_long))
    else:
        for i in too_long:
            prompts[i], responses[i] = _cut(
                rows[i], (prompts[i], responses[i]), limits, tokenizer, prompt_format
            )
        kept = _still_apart(rows, prompts, responses)
    _say(len(rows), len(too_long), len(kept), long)
    return _examples(
        [rows[i] for i in kept],
        [prompts[i] for i in kept],
        [responses[i] for i in kept],
        desirable,
        with_behaviour=long == "drop",
    )


def _prompts(
    rows: Sequence[Row], tokenizer: Any, is_encoder_decoder: bool, prompt_format: PromptFormat | None
) -> list[list[int]]:
    texts = dict.fromkeys(row.prompt for row in rows)
    ids = {text: prompt_ids(tokenizer, text, is_encoder_decoder, prompt_format) for text in texts}
    return [ids[row.prompt] for row in rows]


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
    row: Row, tokens: tuple[list[int], list[int]], limits: Limits, tokenizer: Any, form: PromptFormat | None
) -> tuple[list[int], list[int]]:
    """A row's tokens, cut to the limits."""
    prompt, response = tokens
    kind = limits.is_encoder_decoder
    least = least_prompt(tokenizer, row.prompt, kind, form)
    n_prompt, n_response = limits.kept(len(prompt), len(response), least)
    if n_prompt < len(prompt):
        text = cut_prompt(tokenizer, row.prompt, n_prompt, kind, form) if n_response > 0 else None
        if text is None:
            raise UserError(
                f"The prompt format alone takes all but one of {least:,} tokens, which leave no room for a "
                f"response in the model's context of {limits.context:,}: use a shorter --prompt-format or "
                "--system-prompt, or a model with a longer context."
            )
        prompt = prompt_ids(tokenizer, text, kind, form)
    return prompt, response[:n_response]


def _still_apart(
    rows: Sequence[Row], prompts: Sequence[list[int]], responses: Sequence[list[int]]
) -> list[int]:
    """The rows without those that cutting made equal to rows of the same prompt with another reward."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for i, row in enumerate(rows):
        alike.setdefault((row.prompt_id, tuple(prompts[i]), tuple(responses[i])), []).append(i)
    equal = {
        i
        for same in alike.values()
        if len({rows[j].response for j in same}) > 1 and len({rows[j].reward for j in same}) > 1
        for i in same
    }
    return [i for i in range(len(rows)) if i not in equal]


def _say(rows: int, too_long: int, kept: int, long: LongPolicy) -> None:
    """Warns about cut or dropped rows; raises UserError if no row is left."""
    if not kept:
        why = "are longer than the model's context" if long == "drop" else "are equal once they are cut"
        raise UserError(f"All {rows:,} rows {why}: none is left.")
    done = "left out" if long == "drop" else "cut"
    log.warning("%s rows didn't fit the model's context and were %s.", f"{too_long:,}", done)
    if long == "truncate" and kept < rows:
        log.warning(
            "%s rows were left out: after cutting, they are equal but have different rewards.",
            f"{rows - kept:,}",
        )


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
    if with_behaviour and len(known) == len(rows):  # valid for uncut responses only
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
            "%s rows of preference pairs have lost the other response of their pair: methods on pairs ignore "
            "them.",
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
