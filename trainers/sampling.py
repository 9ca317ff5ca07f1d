"""Sampling from the policy during training: encode once, expand, drop rows as they finish.

Each token is the inverse of the cumulative distribution at a uniform number given from outside, so that
samples depend on those numbers and the weights alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainers.inputs import TokenLayout
from trainers.sampling_ways import sampling_way
from trainers.stepping import started


@dataclass(frozen=True)
class Sampled:
    """B responses.

    Attributes:
        responses: token ids, end-of-sequence included where it was sampled; B lists.
        logps: log-probs of those tokens at the sampling temperature; B tensors (T_i,).
        finished: whether end-of-sequence was sampled; B flags.
        entropy: mean entropy of the next-token distribution over all sampled tokens, in nats.
    """

    responses: list[list[int]]
    logps: list[Tensor]
    finished: list[bool]
    entropy: float


def joined(parts: Sequence[Sampled]) -> Sampled:
    """Samples of several calls as one; a single part is itself."""
    if len(parts) == 1:
        return parts[0]
    tokens = [sum(map(len, part.responses)) for part in parts]
    return Sampled(
        [response for part in parts for response in part.responses],
        [logps for part in parts for logps in part.logps],
        [finished for part in parts for finished in part.finished],
        sum(part.entropy * count for part, count in zip(parts, tokens, strict=True)) / sum(tokens),
    )


@torch.no_grad()
def sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    count: int,
    layout: TokenLayout,
    eos_id: int | tuple[int, ...],
    uniforms: Tensor,
    temperature: float = 1.0,
) -> Sampled:
    """Samples ``count`` responses to each of P prompts, B = P · count, by the model as it is.

    Args:
        model: a transformers causal or encoder-decoder model in eval mode.
        prompts: token ids, P lists.
        count: responses per prompt.
        layout: padding and decoder start.
        eos_id: ends a response; one token or several.
        uniforms: one number in [0, 1) per response and position; (B, T), T the length limit.
        temperature: logits are divided by it.
    """
    rows, limit = uniforms.shape
    state = started(model, prompts, count, layout, sampling_way(model, layout))
    active = torch.arange(rows, device=state.device)  # which response each row of the state is
    ids = torch.full((rows, limit), layout.pad_id, device=state.device)
    logps = torch.zeros(rows, limit, device=state.device)
    lengths = torch.zeros(rows, dtype=torch.long, device=state.device)
    entropy = torch.zeros((), dtype=torch.float64, device=state.device)
    alive = torch.ones(rows, dtype=torch.bool, device=state.device)
    for position in range(limit):
        scores = (state.logits.float() / temperature).log_softmax(-1)  # (b, V)
        tokens = inverse_cdf(scores, uniforms[active, position])
        live = alive[active]
        ids[active[live], position] = tokens[live]
        logps[active[live], position] = scores.gather(1, tokens[:, None])[live, 0]
        lengths[active[live]] += 1
        entropy -= (scores.exp() * scores.clamp(min=-1e4)).sum(-1)[live].double().sum()
        alive[active[live & _ended(tokens, eos_id)]] = False
        live = alive[active]
        remaining = int(live.sum())
        if remaining == 0 or position + 1 == limit:
            break
        if remaining <= len(active) // 2:  # half of the work is for finished responses: leave them out
            keep = live.nonzero()[:, 0]
            active, tokens = active[keep], tokens[keep]
            state.select(keep)
        state.advance(model, tokens)
    sizes = lengths.tolist()
    responses = [row[:size] for row, size in zip(ids.tolist(), sizes, strict=True)]
    return Sampled(
        responses,
        [logps[i, :size].cpu() for i, size in enumerate(sizes)],
        (~alive).tolist(),
        float(entropy / lengths.sum()),
    )


def _ended(tokens: Tensor, eos_id: int | tuple[int, ...]) -> Tensor:
    """Which of the tokens (B,) end a response; (B,)."""
    if isinstance(eos_id, int):
        return tokens == eos_id
    return torch.isin(tokens, torch.tensor(eos_id, device=tokens.device))


def inverse_cdf(log_probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """The tokens at which the cumulative probability exceeds ``uniforms``; (B,) from (B, V) and (B,)."""
    return first_above(log_probabilities.double().exp().cumsum(-1), uniforms)


def first_above(cumulative: Tensor, uniforms: Tensor) -> Tensor:
    """The first entries that exceed ``uniforms`` (B,) times the total; (B,).

    Args:
        cumulative: Cumulative probabilities, (B, V) float64; the last is 1 up to rounding.
        uniforms: In [0, 1).
    """
    total = cumulative[:, -1:]  # (B, 1)
    # A threshold below the total has an entry above it; the first such entry has positive probability.
    threshold = torch.minimum(uniforms.double()[:, None] * total, torch.nextafter(total, total * 0))
    return torch.searchsorted(cumulative, threshold, right=True).squeeze(-1)
