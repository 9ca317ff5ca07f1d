"""A model's logits at chosen positions: its output head computes no others."""

from typing import Any

from torch import Tensor, nn


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
    head = _head(model)
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


def _head(model: Any) -> nn.Module | None:
    """The layer that makes logits, where the model says which it is."""
    try:
        head = model.get_output_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return head if isinstance(head, nn.Module) else None
