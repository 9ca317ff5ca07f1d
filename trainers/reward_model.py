"""The reward model: a scalar score whose differences are log-odds of being preferred (Bradley–Terry)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from trainers.batches import plan_batches
from trainers.errors import UserError
from trainers.length_groups import length_groups, pass_cost
from trainers.precision import autocast, resolve_dtype
from trainers.resuming import Resume
from trainers.sequence_scores import Encoded, sequence_scores

#: Called after each step with its number and its log record.
Progress = Callable[[int, dict[str, float]], None]

_RATE_TIMES_WIDTH = 0.03  # the default learning rate: 5e-4 at a width of 64, 7e-6 at 4,096


@dataclass(frozen=True)
class RewardModelSettings:
    """How a reward model is trained.

    Attributes:
        steps: optimiser steps.
        batch_size: prompts per step, with all their responses.
        micro_batch_size: prompts per forward pass; None: all. Changes memory, not the result.
        learning_rate: peak of a linear schedule; None: 0.03 / width.
        warmup_steps: of the schedule.
        weight_decay: of AdamW.
        max_grad_norm: of clipping.
        dtype: "auto", "float32" or "bfloat16" (autocast over float32 weights).
        seed: of the head's weights and of the batches.
    """

    steps: int = 300
    batch_size: int = 16
    micro_batch_size: int | None = None
    learning_rate: float | None = None
    warmup_steps: int = 20
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    dtype: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Comparisons:
    """Responses, and which of them is better than which.

    Attributes:
        rows: N responses with their prompts, as the model reads them.
        prompts: the prompt of each, 0 … P−1; (N,).
        pairs: rows (better, worse), of one prompt each; (M, 2).
    """

    rows: Sequence[Encoded]
    prompts: NDArray[np.int64]
    pairs: NDArray[np.int64]

    @property
    def weights(self) -> NDArray[np.float64]:
        """1 / the number of its prompt's pairs, so that every prompt counts the same; (M,)."""
        owner = self.prompts[self.pairs[:, 0]]
        weights: NDArray[np.float64] = 1.0 / np.bincount(owner)[owner]
        return weights


def preference_loss(scores: Tensor, pairs: Tensor, weights: Tensor) -> Tensor:
    """Σ weight · −log σ(score of the better − score of the worse); ().

    Args:
        scores: (B,).
        pairs: positions (better, worse) in ``scores``; (M, 2).
        weights: (M,).
    """
    return (weights * F.softplus(scores[pairs[:, 1]] - scores[pairs[:, 0]])).sum()


def zero_head(model: Any) -> None:
    """Sets the last layer of a classifier's head to zero: all scores are equal before training.

    Raises:
        UserError: the model has no such layer with one output.
    """
    linear = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    heads = [module for module in linear if module.out_features == 1]
    if len(heads) != 1:
        raise UserError(f"{type(model).__name__} has no layer that gives one score.")
    torch.nn.init.zeros_(heads[0].weight)
    if heads[0].bias is not None:
        torch.nn.init.zeros_(heads[0].bias)


def fit_reward_model(
    model: Any,
    data: Comparisons,
    settings: RewardModelSettings,
    progress: Progress | None = None,
    resume: Resume | None = None,
) -> list[dict[str, float]]:
    """Trains a classifier with one label on comparisons, in place.

    A step takes whole prompts and scores each of their responses once, however many pairs it is in. With the
    same data, settings and number of threads on the same machine the weights come out equal to the bit.

    Args:
        model: a transformers sequence classifier with one label; dropout stays off.
        data: what to learn from.
        settings: everything else.
        progress: called after every step.
        resume: saves the state, and restores it after an interruption.

    Returns:
        The log: step, loss (nats per pair), accuracy, grad_norm and lr of each step.

    Raises:
        UserError: fewer than two prompts have a pair, or the loss stopped being finite.
    """
    batches = _Batches(data, settings, model.device)
    rate = settings.learning_rate or default_learning_rate(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=settings.weight_decay, fused=True)
    dtype = resolve_dtype(settings.dtype, model)
    model.eval()  # no dropout
    resume = resume or Resume()
    started, log = resume.start(model, optimiser)
    for step in range(started, settings.steps):
        lr = rate * min(1.0, (step + 1) / max(1, settings.warmup_steps)) * (1 - step / settings.steps)
        optimiser.param_groups[0]["lr"] = lr
        loss = right = 0.0
        for part in batches.parts(step):
            with autocast(dtype, model.device):
                scores = sequence_scores(model, [data.rows[i] for i in part.rows])
            pairs, weights = torch.as_tensor(part.pairs), torch.as_tensor(part.weights, dtype=torch.float32)
            pairs, weights = pairs.to(scores.device), weights.to(scores.device)
            term = preference_loss(scores, pairs, weights)
            term.backward()
            loss += float(term.detach())
            right += float((weights * (scores[pairs[:, 0]] > scores[pairs[:, 1]])).sum())
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm))
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise UserError(
                f"The reward model diverged at step {step + 1} (loss {loss:g}, gradient {norm:g}): lower the "
                "learning rate."
            )
        optimiser.step()
        optimiser.zero_grad()
        log.append({"step": step + 1, "loss": loss, "accuracy": right, "grad_norm": norm, "lr": lr})
        if progress is not None:
            progress(step + 1, log[-1])
        resume.step(step + 1, log, model, optimiser)
    return log


def default_learning_rate(model: Any) -> float:
    """0.03 / width: 5e-4 for a width of 64, 7e-6 for 4,096."""
    return _RATE_TIMES_WIDTH / int(model.get_input_embeddings().weight.shape[1])


def mean_over_prompts(scores: NDArray[np.float64], prompts: NDArray[np.int64]) -> float:
    """The mean of scores (N,) within prompts (N,), then over prompts."""
    counts = np.bincount(prompts)
    sums = np.bincount(prompts, weights=scores)
    return float((sums[counts > 0] / counts[counts > 0]).mean())


@dataclass(frozen=True)
class _Part:
    """Some prompts of a batch: their rows, and pairs as positions in those rows."""

    rows: list[int]
    pairs: NDArray[np.int64]
    weights: NDArray[np.float64]  # 1 / (pairs of the prompt · prompts of the batch); (M,)


class _Batches:
    """The batches of the whole training: prompts, each with the rows that its pairs name."""

    def __init__(self, data: Comparisons, settings: RewardModelSettings, device: torch.device) -> None:
        self._data = data
        self._micro = settings.micro_batch_size
        owners = data.prompts[data.pairs[:, 0]] if len(data.pairs) else np.zeros(0, dtype=np.int64)
        self._pairs = [np.flatnonzero(owners == prompt) for prompt in np.unique(owners)]
        if len(self._pairs) < 2:
            raise UserError(
                "A reward model needs at least two prompts with responses of different reward; there "
                f"{'is' if len(self._pairs) == 1 else 'are'} {len(self._pairs)}."
            )
        rows = [np.unique(data.pairs[own]).tolist() for own in self._pairs]
        self._lengths = np.array([max(len(data.rows[i].ids) for i in own) for own in rows], dtype=np.int64)
        self._cost = pass_cost(device) / float(np.mean([len(own) for own in rows]))
        groups = np.arange(len(self._pairs))
        self._plan = plan_batches(groups, settings.steps, settings.batch_size, settings.seed)

    def parts(self, step: int) -> list[_Part]:
        """The micro-batches of a step: prompts with rows of similar length."""
        chosen = self._plan.batches[step]
        groups = length_groups(self._lengths[chosen], self._cost, self._micro)
        return [self._part(chosen[places], len(chosen)) for places in groups]

    def _part(self, chosen: NDArray[np.int64], batch: int) -> _Part:
        own = [self._pairs[prompt] for prompt in chosen]
        pairs = self._data.pairs[np.concatenate(own)]  # (m, 2)
        rows, places = np.unique(pairs, return_inverse=True)
        weights = np.concatenate([np.full(len(part), 1.0 / (len(part) * batch)) for part in own])
        return _Part(rows.tolist(), places.reshape(pairs.shape), weights)
