"""Computes everything before the first step: scaled rewards, reference log-probs, partition, batch plan."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.batches import BatchPlan, plan_batches, plan_batches_by_length
from trainers.errors import UserError
from trainers.examples import Examples
from trainers.inputs import TokenLayout
from trainers.objective import Need, OfflineMethod
from trainers.partition import group_sizes
from trainers.precision import DType
from trainers.reference import ReferenceCache, partner_logps, reference_logps
from trainers.settings import TrainingSettings

_FEWEST = 2  # rows or pairs: one alone is a mistake in the data


@dataclass(frozen=True)
class PreparedRows:
    """The rows prepared for a method: N rows in U units of one or two rows.

    Attributes:
        examples: the training rows, with rewards scaled for the method.
        units: the rows of each unit: one, or a pair; (U, 1) or (U, 2).
        reference_logps: log π_ref(y|x); (N,).
        lengths: response tokens; (N,).
        log_partition: log Ẑ(x); (N,), or None.
        reward_mean: of the scaling.
        reward_sd: of the scaling.
    """

    examples: Examples
    units: NDArray[np.int64]
    reference_logps: NDArray[np.float64]
    lengths: NDArray[np.float64]
    log_partition: NDArray[np.float64] | None
    reward_mean: float
    reward_sd: float


@dataclass(frozen=True)
class OfflineData(PreparedRows):
    """Everything that a step looks up: the rows, and S steps of B units.

    Attributes:
        plan: which units each step sees.
        partner_logps: log π_ref of the plan's mismatched pairs; (S, B), or None.
    """

    plan: BatchPlan
    partner_logps: NDArray[np.float64] | None


def prepare(
    method: OfflineMethod,
    model: Any,
    examples: Examples,
    settings: TrainingSettings,
    cache: ReferenceCache,
    layout: TokenLayout,
    dtype: DType,
) -> OfflineData:
    """Computes, or takes from the cache, all that doesn't change during training.

    Raises:
        UserError: the data lacks what the method needs.
    """
    check_needs(method, examples)
    rows = prepare_rows(method, examples, reference_logps(cache, model, examples, layout, dtype))
    if len(rows.units) < _FEWEST:
        raise UserError(f"Training needs at least two rows or pairs; there is {len(rows.units)}.")
    return with_plan(method, rows, model, settings, cache, layout, dtype)


def with_plan(
    method: OfflineMethod,
    rows: PreparedRows,
    model: Any,
    settings: TrainingSettings,
    cache: ReferenceCache,
    layout: TokenLayout,
    dtype: DType,
) -> OfflineData:
    """The rows with the batches of all steps and, if needed, log π_ref of their mismatched pairs."""
    plan = _planned(rows, settings)
    partners = None
    if Need.KL_PARTNER in method.needs:
        partners = partner_logps(cache, model, rows.examples, plan, layout, dtype)
    return OfflineData(**vars(rows), plan=plan, partner_logps=partners)


def _planned(rows: PreparedRows, settings: TrainingSettings) -> BatchPlan:
    """The batches of all steps, drawn as the settings say."""
    groups = rows.examples.groups[rows.units[:, 0]]
    size = max(2, settings.batch_size // rows.units.shape[1])
    if settings.batches == "by_length":
        lengths = rows.examples.lengths[rows.units].sum(axis=1)
        return plan_batches_by_length(lengths, groups, settings.steps, size, settings.seed)
    return plan_batches(groups, settings.steps, size, settings.seed)


def prepare_rows(
    method: OfflineMethod,
    examples: Examples,
    reference: NDArray[np.float64],
    scale: tuple[float, float] | None = None,
) -> PreparedRows:
    """The part of ``prepare`` that takes no model: scales, transforms, selects and pairs the rows.

    Args:
        method: the objective.
        examples: N rows that ``check_needs`` has passed.
        reference: log π_ref(y|x) of each, summed over tokens; (N,).
        scale: mean and deviation that z-score the rewards; None: the rows' own.
    """
    mean, sd = (scale or reward_scale(examples.rewards)) if method.zscore_rewards else (0.0, 1.0)
    examples = method.transformed(_scaled(examples, mean, sd))
    rows = method.rows(examples)
    if rows is not None:
        examples, reference = examples.take(rows), reference[rows]
    lengths = np.array([len(response) for response in examples.responses], dtype=np.float64)
    pairs = method.pairs(examples)
    units = np.arange(len(examples))[:, None] if pairs is None else pairs
    partition = method.log_partition(examples, reference, lengths)
    return PreparedRows(examples, units, reference, lengths, partition, mean, sd)


def check_needs(method: OfflineMethod, examples: Examples) -> None:
    """Raises UserError if the rows lack something that the method needs."""
    needs = method.needs
    if Need.LABEL in needs and examples.desirable is None:
        raise UserError(f"{method.name} needs desirable/undesirable labels; the examples have none.")
    if Need.PAIR in needs and (group_sizes(examples.groups) < 2).all():
        raise UserError(f"{method.name} needs two responses to a prompt; every prompt has one.")
    if Need.GROUP in needs and (group_sizes(examples.groups) < 2).any():
        lonely = int((group_sizes(examples.groups) < 2).sum())
        raise UserError(
            f"{method.name} needs two responses or more to every prompt; {lonely} prompts have one."
        )
    if Need.BEHAVIOUR_LOGP in needs and examples.behaviour_logps is None:
        raise UserError(f"{method.name} needs behaviour_logp in every row: the log-prob under what wrote it.")
    if Need.REFERENCE_REWARDS in needs and not examples.reference_rewards:
        raise UserError(
            f"{method.name} needs reference_rewards: rewards of reference samples to each prompt."
        )


def reward_scale(rewards: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and deviation of the rewards; raises UserError if all are equal."""
    mean, sd = float(rewards.mean()), float(rewards.std())
    if rewards.min() == rewards.max():  # their deviation needn't be 0 to the last digit
        raise UserError("All rewards are equal: there is nothing to learn from them.")
    return mean, sd


def _scaled(examples: Examples, mean: float, sd: float) -> Examples:
    scaled_samples = None
    if examples.reference_rewards is not None:
        scaled_samples = {g: (rewards - mean) / sd for g, rewards in examples.reference_rewards.items()}
    return dataclasses.replace(
        examples, rewards=(examples.rewards - mean) / sd, reference_rewards=scaled_samples
    )
