"""How a model's rows can share batches: determined once per model by a trial."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from trainers.batch_check import difference, needs_equal_lengths
from trainers.critic import Critic
from trainers.flash import has_flash
from trainers.head import logits_are_the_heads
from trainers.inputs import ModelInputs, TokenLayout, collate
from trainers.logps import token_logps
from trainers.packing import Packing, packed_inputs, packed_logps
from trainers.trials import Pair, tolerance_of, trial_rows, trying

#: Model → padding token → a layout with what the trial has found.
_known: WeakKeyDictionary[Any, dict[int, TokenLayout]] = WeakKeyDictionary()


def checked_layout(model: Any, layout: TokenLayout, what: str = "The model") -> TokenLayout:
    """The layout, with equally long rows in a batch where the model reads its padding.

    Where it doesn't, and keeps sequences that share a row apart, rows may be packed.

    Args:
        model: a transformers causal or encoder-decoder model.
        layout: the format of its inputs.
        what: names the model, for messages.

    Raises:
        UserError: a row's log-probs depend on the rows beside it even where all are equally long.
    """
    known = _known.setdefault(model, {})
    if not layout.equal_lengths and layout.pad_id not in known:
        device = next(model.parameters()).device

        def numbers(rows: Sequence[Pair]) -> list[Tensor]:
            inputs = _collated(rows, layout).to(device)
            found = token_logps(model, inputs)
            return [found[i, : len(response)] for i, (_, response) in enumerate(rows)]

        trial = _collated(trial_rows(model), layout).to(device)
        with trying(model):
            equal = _needs_equal_lengths(numbers, model, what)
            apart = not equal and keeps_apart(model, layout)
            known[layout.pad_id] = dataclasses.replace(
                layout,
                equal_lengths=equal,
                packed=apart and not has_flash(model),
                unpadded=apart and has_flash(model) and layout.decoder_start_id is None,
                plain_head=logits_are_the_heads(model, trial.forward),
            )
    if layout.equal_lengths:
        return layout
    found = known[layout.pad_id]
    return dataclasses.replace(
        layout,
        equal_lengths=found.equal_lengths,
        packed=found.packed,
        unpadded=found.unpadded,
        plain_head=found.plain_head,
    )


@torch.no_grad()
def keeps_apart(model: Any, layout: TokenLayout) -> bool:
    """Whether sequences that share a row have the log-probs that they have alone.

    It is tested on the model in both orders: its code may not support such rows, or its layers may carry
    state from one sequence to the next.
    """
    device = next(model.parameters()).device

    def alone(row: Pair) -> Tensor:
        return token_logps(model, _collated([row], layout).to(device))[0]

    def together(prompts: list[list[int]], responses: list[list[int]], chosen: Packing) -> Tensor:
        return packed_logps(model, packed_inputs(model, prompts, responses, chosen, layout, device))

    return _same_together(model, alone, together, layout)


def _same_together(
    model: Any,
    alone: Callable[[Pair], Tensor],
    together: Callable[[list[list[int]], list[list[int]], Packing], Tensor],
    layout: TokenLayout,
) -> bool:
    """Whether numbers of the response tokens are the same alone, (T,), and in one row, (B, T)."""
    trial = [(row, alone(row)) for row in trial_rows(model)]
    for order in (trial, trial[::-1]):
        rows = [row for row, _ in order]
        prompts, responses = [prompt for prompt, _ in rows], [response for _, response in rows]
        try:
            numbers = together(prompts, responses, _one_row(rows, layout))
        except Exception:  # a model's own code may raise anything: it doesn't support such rows
            return False
        found = [numbers[i, : len(response)] for i, response in enumerate(responses)]
        if difference(found, [expected for _, expected in order]) > tolerance_of(model):
            return False
    return True


def _one_row(rows: Sequence[Pair], layout: TokenLayout) -> Packing:
    """All sequences in one row, with a token of padding."""
    read = sum(len(prompt) for prompt, _ in rows) + 1
    said = sum(len(response) + len(layout.beginning) for _, response in rows) + 1
    widths = (read + said,) if layout.decoder_start_id is None else (read, said)
    return Packing([list(range(len(rows)))], widths)


def checked_critic(critic: Critic, layout: TokenLayout) -> Critic:
    """The critic, reading equally long rows in a batch where it would read its padding.

    Where it doesn't, and keeps sequences that share a row apart, rows may be packed.

    Raises:
        UserError: a row's values depend on the rows beside it even where all are equally long.
    """
    device = critic.head.weight.device

    def numbers(rows: Sequence[Pair]) -> list[Tensor]:
        found = critic.features(_collated(rows, layout).to(device))
        return [found[i, : len(response)] for i, (_, response) in enumerate(rows)]

    with trying(critic.body):
        critic.equal_lengths |= _needs_equal_lengths(numbers, critic.body, "The critic")
        shares = not critic.equal_lengths and not has_flash(critic.body)
        critic.shares_rows = shares and _critic_keeps_apart(critic, layout)
    return critic


@torch.no_grad()
def _critic_keeps_apart(critic: Critic, layout: TokenLayout) -> bool:
    """Whether sequences that share a row have the features that they have alone."""
    device = critic.head.weight.device

    def alone(row: Pair) -> Tensor:
        return critic.features(_collated([row], layout).to(device))[0]

    def together(prompts: list[list[int]], responses: list[list[int]], chosen: Packing) -> Tensor:
        return critic.packed_features(packed_inputs(critic.body, prompts, responses, chosen, layout, device))

    return _same_together(critic.body, alone, together, layout)


def _needs_equal_lengths(numbers: Any, model: Any, what: str) -> bool:
    rows = trial_rows(model)
    lengths = [len(prompt) for prompt, _ in rows]
    return needs_equal_lengths(numbers, rows, lengths, what, tolerance_of(model))


def _collated(rows: Sequence[Pair], layout: TokenLayout) -> ModelInputs:
    return collate([prompt for prompt, _ in rows], [response for _, response in rows], layout)
