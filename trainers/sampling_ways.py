"""Finds by trial how to step a model with the log-probs of a whole forward pass."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from trainers.batch_check import difference
from trainers.errors import UserError
from trainers.inputs import TokenLayout, collate
from trainers.logps import kept_logits
from trainers.stepping import Way, started
from trainers.trials import tolerance_of, trial_rows, trying

#: A trial of a way: the tokens that followed each prompt, N lists of T, and their logits, (N, T, V).
Trial = tuple[Sequence[Sequence[int]], Tensor]

_known: WeakKeyDictionary[Any, dict[int, Way]] = WeakKeyDictionary()


@torch.no_grad()
def sampling_way(model: Any, layout: TokenLayout) -> Way:
    """The fastest way of stepping the model that agrees with a whole forward pass.

    With a cache where it can be repeated and pruned and doesn't take in padding; else without one.
    """
    known = _known.setdefault(model, {})
    if layout.pad_id not in known:
        ways = [Way(equal_lengths=True)] if layout.equal_lengths else [Way(), Way(equal_lengths=True)]
        found = first_right(model, layout, ways, lambda prompts, way: _stepped(model, prompts, layout, way))
        known[layout.pad_id] = found or Way(cache=False)
    return known[layout.pad_id]


def first_right(
    model: Any,
    layout: TokenLayout,
    ways: Iterable[Way],
    run: Callable[[list[list[int]], Way], Trial],
) -> Way | None:
    """The first way whose steps give the log-probs of a whole pass over each row alone; None: none does.

    Args:
        model: a transformers model.
        layout: the format of its inputs.
        ways: the fastest first.
        run: continues the prompts by a few tokens.
    """
    prompts = [prompt for prompt, _ in trial_rows(model)]
    with trying(model):
        for way in ways:
            try:
                gaps = [_gap(model, layout, part, *run(part, way)) for part in (prompts, prompts[1:2])]
            except UserError:
                raise
            except Exception:  # a model's own code may raise anything: the next way is tried
                continue
            if max(gaps) <= tolerance_of(model):
                return way
    return None


def _gap(
    model: Any, layout: TokenLayout, prompts: list[list[int]], tokens: Sequence[Sequence[int]], logits: Tensor
) -> float:
    """How far log-probs are from those of each row alone."""
    found, expected = [], []
    for row, (prompt, said) in enumerate(zip(prompts, tokens, strict=True)):
        alone = kept_logits(model, collate([prompt], [said], layout).to(logits.device))[0]
        expected.append(alone.log_softmax(-1))
        found.append(logits[row].float().log_softmax(-1))
    return difference(found, expected)


def _stepped(model: Any, prompts: list[list[int]], layout: TokenLayout, way: Way) -> Trial:
    """Two samples of each prompt for a step, of which one is followed for two more."""
    tokens = [(prompt * 3)[-3:] for prompt in prompts]
    chosen = torch.tensor(tokens, device=next(model.parameters()).device)  # (P, 3)
    state = started(model, prompts, 2, layout, way)
    steps = [state.logits[1::2]]
    state.advance(model, chosen[:, 0].repeat_interleave(2))
    steps.append(state.logits[::2])
    state.select(torch.arange(1, 2 * len(prompts), 2, device=chosen.device))
    state.advance(model, chosen[:, 1])
    steps.append(state.logits)
    return tokens, torch.stack(steps, dim=1)
