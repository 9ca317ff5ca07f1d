"""Log-probabilities by a linear head, of whose logits a chunk exists at a time, forwards and backwards."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def linear_logps(head: nn.Linear, hidden: Tensor, tokens: Tensor, rows: int, temperature: float) -> Tensor:
    """log softmax(head(h) / temperature) at the given tokens, in float32; (n,).

    Args:
        head: the output layer.
        hidden: its inputs; (n, d).
        tokens: (n,).
        rows: positions of a chunk.
        temperature: logits are divided by it.
    """
    found: Tensor = _LinearLogps.apply(hidden, head.weight, head.bias, tokens, rows, temperature)
    return found


def is_plain(head: nn.Module) -> bool:
    """Whether a head is a linear layer that nothing else, such as an adapter or a hook, takes part in."""
    hooked = head._forward_hooks or head._backward_hooks or "forward" in vars(head)
    return type(head) is nn.Linear and not hooked


class _LinearLogps(torch.autograd.Function):
    """Its backward pass computes each chunk of logits again and turns it into its gradient in place.

    With p = softmax(z / T) and an incoming g, the gradient of z is g (1[token] − p) / T.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        tokens: Tensor,
        rows: int,
        temperature: float,
    ) -> Tensor:
        ctx.dtype = _format(weight)
        ctx.rows, ctx.temperature = rows, temperature
        logits_of = _logits(weight, bias, ctx.dtype, temperature)
        norms, found = [], []
        for h, said in zip(hidden.split(rows), tokens.split(rows), strict=True):
            logits = logits_of(h)
            picked = logits.gather(1, said[:, None])[:, 0]
            largest = logits.amax(dim=1)
            norms.append(logits.sub_(largest[:, None]).exp_().sum(dim=1).log_() + largest)
            found.append(picked - norms[-1])
            del logits  # or the next chunk would exist beside it
        ctx.save_for_backward(hidden, weight, bias, tokens, torch.cat(norms))
        return torch.cat(found)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, tokens, norms = ctx.saved_tensors
        logits_of = _logits(weight, bias, ctx.dtype, ctx.temperature)
        wide = weight.to(ctx.dtype)
        to_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        # Many chunks add up: in float32, whatever the weights' own format.
        to_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        wanted = bias is not None and ctx.needs_input_grad[2]
        to_bias = torch.zeros_like(bias, dtype=torch.float32) if wanted else None
        for first in range(0, len(hidden), ctx.rows):
            part = slice(first, first + ctx.rows)
            g = (grad[part] / ctx.temperature)[:, None]  # (m, 1)
            change = logits_of(hidden[part]).sub_(norms[part, None]).exp_().mul_(-g)
            change = change.scatter_add_(1, tokens[part, None], g).to(ctx.dtype)
            if to_hidden is not None:
                to_hidden[part] = change @ wide
            if to_weight is not None and ctx.dtype == torch.float32:
                to_weight.addmm_(change.T, hidden[part].to(ctx.dtype))
            elif to_weight is not None:
                to_weight += change.T @ hidden[part].to(ctx.dtype)
            if to_bias is not None:
                to_bias += change.sum(dim=0)
            del change
        to_weight = None if to_weight is None else to_weight.to(weight.dtype)
        to_bias = None if to_bias is None or bias is None else to_bias.to(bias.dtype)
        return to_hidden, to_weight, to_bias, None, None, None


def _format(weight: Tensor) -> torch.dtype:
    """The number format in which autocast, or without it the weights, multiply."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def _logits(weight: Tensor, bias: Tensor | None, dtype: torch.dtype, temperature: float) -> Any:
    """A function that gives the float32 logits (m, V) of hidden states (m, d), over the temperature."""
    wide, shift = weight.to(dtype), None if bias is None else bias.to(dtype)

    def logits_of(hidden: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            logits = F.linear(hidden.to(dtype), wide, shift).float()
        return logits if temperature == 1.0 else logits.div_(temperature)

    return logits_of
