"""A model's output head: logits at chosen positions, or numbers made of them a chunk at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainers.linear_logps import is_plain, linear_logps

#: Logits that exist at once: 64 MiB in float32; 128 MiB on a GPU, which needs larger products to be busy.
#: Smaller chunks would take more memory: the C library keeps pieces of up to 32 MiB after use.
_AT_ONCE = {"cpu": 2**24, "cuda": 2**25}
#: A factor on logits that no cap lets through.
_LARGE = 1000.0


@dataclass(frozen=True)
class LogpScore:
    """Log-probs of tokens (m,) by the float32 logits (m, V) that predict them; (m, 1).

    Attributes:
        temperature: logits are divided by it.
    """

    temperature: float = 1.0

    def __call__(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """Computes them."""
        scaled = logits if self.temperature == 1.0 else logits / self.temperature
        return -F.cross_entropy(scaled, tokens, reduction="none")[:, None]


#: Numbers of tokens (m,) by the float32 logits (m, V) that predict them; (m, k).
Score = Callable[[Tensor, Tensor], Tensor]


def logits_at(model: Any, forward: dict[str, Any], places: Tensor, columns: Tensor | None = None) -> Tensor:
    """The logits at some positions of a padded batch; (n, V), in the model's number format.

    The head is by far the widest layer, and most positions of a batch are prompt or padding. Whatever the
    model does to its logits after the head, such as scaling or capping, it does to the chosen ones. A model
    that has no head of its own, or feeds it other numbers than one vector per position, computes all logits.

    Args:
        model: a transformers causal or encoder-decoder model, with or without adapters.
        forward: keyword arguments of its forward pass.
        places: of the wanted positions in the flattened (B, L) ones; (n,).
        columns: the L input columns that count; None: all.
    """
    head = head_of(model)
    chosen = False

    def choose(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        nonlocal chosen
        hidden = arguments[0]  # (B, columns, d)
        if hidden.dim() != 3 or chosen:
            return None
        chosen = True
        kept = hidden if columns is None else hidden[:, columns]
        return (kept.flatten(0, 1).index_select(0, places)[None], *arguments[1:])

    hook = None if head is None else head.register_forward_pre_hook(choose)
    try:
        logits: Tensor = model(**forward, use_cache=False).logits
    finally:
        if hook is not None:
            hook.remove()
    if chosen and logits.shape[:2] == (1, len(places)):
        return logits[0]
    if columns is not None:
        logits = logits[:, columns]
    return logits.flatten(0, 1).index_select(0, places)


def scores_at(
    model: Any,
    forward: dict[str, Any],
    places: Tensor,
    tokens: Tensor,
    score: Score,
    columns: Tensor | None = None,
    chunks: bool = False,
) -> Tensor:
    """Numbers of tokens, made of the logits at their positions; (n, k), in float32.

    Args:
        model: as for ``logits_at``.
        forward: keyword arguments of its forward pass.
        places: of the positions that predict the tokens; (n,).
        tokens: (n,).
        score: makes the numbers.
        columns: as for ``logits_at``.
        chunks: whether ``logits_are_the_heads`` holds. Then only a chunk of logits exists at a time, and the
            backward pass computes it again.
    """
    head = head_of(model)
    rows = _rows(head, places.device) if chunks else len(places)
    if head is None or len(places) <= rows:
        return score(logits_at(model, forward, places, columns).float(), tokens)
    own, plain = head.forward, is_plain(head)

    def part(hidden: Tensor, said: Tensor) -> Tensor:
        return score(own(hidden).float(), said)

    def in_parts(hidden: Tensor) -> Tensor:  # (1, n, d) → (1, n, k)
        if isinstance(head, nn.Linear) and plain and isinstance(score, LogpScore):
            return linear_logps(head, hidden[0], tokens, rows, score.temperature)[None, :, None]
        parts = zip(hidden[0].split(rows), tokens.split(rows), strict=True)
        if not torch.is_grad_enabled():
            return torch.cat([part(h, said) for h, said in parts])[None]
        return torch.cat(
            [checkpoint(part, h, said, use_reentrant=False, preserve_rng_state=False) for h, said in parts]
        )[None]

    shadowed = "forward" in vars(head)  # accelerate puts one of its own there
    head.forward = in_parts
    try:
        return logits_at(model, forward, places, columns)
    finally:
        if shadowed:
            head.forward = own
        else:
            del head.forward


@contextmanager
def last_logits_only(model: Any) -> Iterator[None]:
    """A block in which the model's head reads the last position of each row alone."""

    def choose(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return (arguments[0][:, -1:], *arguments[1:]) if arguments[0].dim() == 3 else None

    head = head_of(model)
    hook = None if head is None else head.register_forward_pre_hook(choose)
    try:
        yield
    finally:
        if hook is not None:
            hook.remove()


@torch.no_grad()
def logits_are_the_heads(model: Any, forward: dict[str, Any]) -> bool:
    """Whether a model's logits are exactly what its head gives.

    Some models scale, cap, shift or cut them. The check makes the head's output large, which no cap would
    keep, and then one number wide, to which nothing may be added.

    Args:
        model: as for ``logits_at``.
        forward: keyword arguments of a forward pass.
    """
    head = head_of(model)
    if head is None or not getattr(head, "out_features", 0):
        return False
    return all(_kept(model, forward, head, width) for width in (head.out_features, 1))


def _kept(model: Any, forward: dict[str, Any], head: nn.Module, width: Any) -> bool:
    """Whether a model returns what its head gives when that is large and so many numbers wide."""
    given: list[Tensor] = []

    def enlarge(_: nn.Module, arguments: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, Tensor) and arguments and arguments[0].dim() == 3:
            given.append(output[..., :width] * _LARGE)
            return given[-1]
        return output

    hook = head.register_forward_hook(enlarge)
    try:
        logits = model(**forward, use_cache=False).logits
    finally:
        hook.remove()
    return len(given) == 1 and torch.equal(logits.float(), given[0].float())


def _rows(head: Any, device: torch.device) -> int:
    """Positions of a chunk."""
    return max(1, _AT_ONCE.get(device.type, _AT_ONCE["cpu"]) // int(head.out_features))


def head_of(model: Any) -> nn.Module | None:
    """The layer that makes logits, where the model says which it is."""
    try:
        head = model.get_output_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return head if isinstance(head, nn.Module) else None
