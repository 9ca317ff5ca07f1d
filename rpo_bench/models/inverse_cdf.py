"""Sampling by inverse CDF with one pre-drawn uniform number per token.

Each token is the inverse of the cumulative distribution at a uniform number that depends only on (seed,
prompt, sample, position). Samples therefore don't depend on their batch, no global generator is used, and
all policies are compared under the same random numbers.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import (
    LogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_json
from rpo_bench.spec.sections import Decoding
from trainers.equal_lengths import groups_of
from trainers.sampling import first_above


def uniforms(seed: int, prompt_id: str, first: int, count: int, length: int) -> NDArray[np.float64]:
    """Random numbers in [0, 1) for samples first … first+count−1 of a prompt; (count, length)."""
    generator = np.random.default_rng(int(hash_json([seed, prompt_id]), 16))
    return generator.random((first + count, length))[first:]


def pick(logits: Tensor, uniform: Tensor) -> Tensor:
    """The tokens at which the cumulative softmax of ``logits`` (B, V) exceeds ``uniform`` (B,) float64; (B,).

    Raises:
        UserError: a logit is NaN or +inf; the model has diverged.
    """
    cumulative = logits.double().softmax(-1).cumsum(-1)  # (B, V)
    if not bool(torch.isfinite(cumulative[:, -1]).all()):
        raise UserError("The model's logits aren't finite: the checkpoint has diverged or is damaged.")
    return first_above(cumulative, uniform)


def warped(decoding: Decoding, scores: Tensor) -> Tensor:
    """Scores (b, V) after temperature, top-k and top-p, in the order of transformers."""
    steps: list[LogitsProcessor] = []
    if decoding.temperature != 1:
        steps.append(TemperatureLogitsWarper(decoding.temperature))
    if decoding.top_k > 0:
        steps.append(TopKLogitsWarper(decoding.top_k))
    if decoding.top_p < 1:
        steps.append(TopPLogitsWarper(decoding.top_p))
    for step in steps:
        scores = step(None, scores)
    return scores


def restrained(decoding: Decoding, said: Sequence[Sequence[int]], scores: Tensor) -> Tensor:
    """Scores (b, V) after the repetition penalty and the n-gram ban, each row by its own tokens."""
    steps: list[LogitsProcessor] = []
    if decoding.repetition_penalty != 1:
        steps.append(RepetitionPenaltyLogitsProcessor(decoding.repetition_penalty))
    if decoding.no_repeat_ngram_size > 0:
        steps.append(NoRepeatNGramLogitsProcessor(decoding.no_repeat_ngram_size))
    if not steps:
        return scores
    found = torch.empty_like(scores)
    for rows in groups_of([len(tokens) for tokens in said]):
        ids = torch.tensor([list(said[row]) for row in rows], device=scores.device)
        own = scores[rows]
        for step in steps:
            own = step(ids, own)
        found[rows] = own
    return found
