"""Estimators of log Z(x) = log E_{y~π_ref} e^{r(x,y)/τ} from logged responses (RPO, arXiv 2506.13702).

Z is what makes V*(x) = τ log Z(x) the optimal value. With K responses y_i per prompt:

=================== =====================================================================================
released            log Σ_i e^{l_i + r_i/τ}, l_i the reference's (mean) log-prob: the released code's sum. Not
                    a consistent estimate of log Z: its targets put all mass on the K logged responses, and at
                    K = 1 the reward cancels.
log_mean_exp        log (1/K) Σ_i e^{r_i/τ}: consistent for y_i ~ π_ref, biased down by the log at finite K.
leave_one_out       log (1/(K−1)) Σ_{j≠i} e^{r_j/τ}: as above, but independent of row i's own reward.
reference_samples   log (1/N) Σ_n e^{r_n/τ} over N other responses sampled from π_ref.
self_normalised     log Σ_i w_i e^{r_i/τ} / Σ_i w_i, w_i = π_ref(y_i)/μ(y_i): consistent for y_i ~ μ.
=================== =====================================================================================
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainers.errors import UserError
from trainers.examples import Examples

Partition = Literal["released", "log_mean_exp", "leave_one_out", "reference_samples", "self_normalised"]


def log_partition(
    estimator: Partition,
    examples: Examples,
    tau: float,
    reference_logps: NDArray[np.float64],
    lengths: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """log Ẑ(x) of each row's prompt; (N,).

    Args:
        estimator: one of the table above.
        examples: rows with their rewards, already scaled for the method.
        tau: KL strength, in units of reward per nat.
        reference_logps: log π_ref(y|x) summed over tokens; (N,).
        lengths: tokens of each response, to take mean log-probs in ``released``; None for sums.

    Raises:
        UserError: the data lacks what the estimator needs.
    """
    scaled = examples.rewards / tau  # (N,)
    groups = examples.groups
    if estimator == "released":
        l_ref = reference_logps if lengths is None else reference_logps / lengths
        return group_logsumexp(l_ref + scaled, groups)
    if estimator == "log_mean_exp":
        return group_logsumexp(scaled, groups) - np.log(group_sizes(groups))
    if estimator == "leave_one_out":
        return _leave_one_out(scaled, groups)
    if estimator == "reference_samples":
        return _from_reference_samples(examples, tau)
    if examples.behaviour_logps is None:
        raise UserError("partition=self_normalised needs behaviour_logp in every row of the data.")
    log_weights = reference_logps - examples.behaviour_logps
    return group_logsumexp(log_weights + scaled, groups) - group_logsumexp(log_weights, groups)


def group_logsumexp(values: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """log Σ e^value over each row's group; (N,), constant within a group."""
    _, index = np.unique(groups, return_inverse=True)
    highest = np.full(index.max() + 1, -np.inf)
    np.maximum.at(highest, index, values)
    total = np.bincount(index, weights=np.exp(values - highest[index]))
    return np.asarray((highest + np.log(total))[index])


def group_sizes(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many rows share each row's group; (N,)."""
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return np.asarray(counts[index])


def _leave_one_out(scaled: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    if (group_sizes(groups) < 2).any():
        raise UserError("partition=leave_one_out needs at least two responses to every prompt.")
    result = np.empty_like(scaled)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order[0]] - 1))
    for rows in np.split(order, starts[1:]):
        others = np.where(np.eye(len(rows), dtype=bool), -np.inf, scaled[rows][None, :])  # (K, K)
        result[rows] = np.logaddexp.reduce(others, axis=1) - np.log(len(rows) - 1)
    return result


def _from_reference_samples(examples: Examples, tau: float) -> NDArray[np.float64]:
    known = examples.reference_rewards or {}
    missing = set(examples.groups.tolist()) - set(known)
    if missing:
        raise UserError(
            f"partition=reference_samples needs reference_rewards for every prompt; {len(missing)} have none."
        )
    value = {
        group: np.logaddexp.reduce(rewards / tau) - np.log(len(rewards)) for group, rewards in known.items()
    }
    return np.array([value[group] for group in examples.groups.tolist()])
