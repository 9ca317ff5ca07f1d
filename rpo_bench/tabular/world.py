"""A tabular problem: X prompts, Y responses to each, with known policies, rewards and optimum."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpo_bench.stats.arrays import Floats

#: Probabilities are multiples of 1/GRAIN, so that a log of a multiple of GRAIN rows can hold each response
#: exactly as often as its probability says.
GRAIN = 64


@dataclass(frozen=True)
class World:
    """X equally likely prompts with Y responses each.

    Attributes:
        reference_counts: π_ref(y|x) in units of 1/GRAIN, none zero; (X, Y).
        behaviour_counts: the same of μ, another policy that may have written the data; (X, Y).
        rewards: r(x, y), no two equal within a prompt; (X, Y).
        lengths: tokens of each response; (X, Y).
    """

    reference_counts: NDArray[np.int64]
    behaviour_counts: NDArray[np.int64]
    rewards: Floats
    lengths: NDArray[np.int64]

    @property
    def log_reference(self) -> Floats:
        """log π_ref; (X, Y)."""
        return np.log(self.reference_counts / GRAIN)

    @property
    def log_behaviour(self) -> Floats:
        """log μ; (X, Y)."""
        return np.log(self.behaviour_counts / GRAIN)


def make_world(seed: int = 0, prompts: int = 3, responses: int = 24) -> World:
    """A random problem from ``seed``.

    Each prompt has its own mean and spread of rewards, so V*(x) differs between prompts; over all prompts
    their standard deviation under π_ref is 1. μ is another policy, somewhat better than π_ref.
    """
    rng = np.random.default_rng([seed, 0x7AB1E])
    mean = rng.normal(0.0, 0.7, (prompts, 1))
    spread = rng.uniform(0.6, 1.4, (prompts, 1))
    rewards = mean + spread * rng.normal(size=(prompts, responses))
    reference = _counts(rng, np.ones((prompts, responses)))
    rewards = (rewards - (reference * rewards).sum() / reference.sum()) / _spread(rewards, reference)
    return World(
        reference_counts=reference,
        behaviour_counts=_counts(rng, np.exp(0.5 * rewards)),
        rewards=rewards,
        lengths=rng.integers(1, 5, (prompts, responses)),
    )


def _counts(rng: np.random.Generator, weights: Floats) -> NDArray[np.int64]:
    """Positive counts that add up to GRAIN in each row, about as ``weights`` times a Dirichlet draw."""
    shares = weights * rng.exponential(size=weights.shape)
    shares /= shares.sum(axis=1, keepdims=True)
    free = GRAIN - weights.shape[1]
    return np.stack([1 + rng.multinomial(free, row) for row in shares])


def _spread(rewards: Floats, counts: NDArray[np.int64]) -> float:
    mean = np.average(rewards, weights=counts)
    return float(np.sqrt(np.average((rewards - mean) ** 2, weights=counts)))


def normalised(logits: Floats) -> Floats:
    """Log-probabilities proportional to e^logits; (X, Y)."""
    logps: Floats = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return logps


def tilted(base: Floats, rewards: Floats, tau: float) -> Floats:
    """log of the policy ∝ base · e^{r/τ}; with π_ref as base, the optimum of E r − τ KL(π‖π_ref).

    Args:
        base: log-probabilities; (X, Y).
        rewards: r; (X, Y).
        tau: reward per nat.
    """
    return normalised(base + rewards / tau)


def kl(p: Floats, q: Floats) -> float:
    """KL(p‖q) in nats, the mean over prompts; both log-probabilities, (X, Y)."""
    positive = np.isfinite(p)
    terms = np.where(positive, np.exp(p) * (np.where(positive, p, 0.0) - q), 0.0)
    return max(0.0, float(terms.sum(axis=1).mean()))


def expectation(p: Floats, values: Floats) -> float:
    """E_{y~p} values(x, y), the mean over prompts; both (X, Y)."""
    return float((np.exp(p) * values).sum(axis=1).mean())


def total_variation(p: Floats, q: Floats) -> float:
    """Half the sum of |p − q|, the mean over prompts; both log-probabilities, (X, Y)."""
    return float(0.5 * np.abs(np.exp(p) - np.exp(q)).sum(axis=1).mean())


def best_response(rewards: Floats) -> Floats:
    """log of the policy that always returns the best response; (X, Y)."""
    best = rewards == rewards.max(axis=1, keepdims=True)
    return np.where(best, 0.0, -np.inf)


def best_of(k: int, base: Floats, rewards: Floats) -> Floats:
    """log of the distribution of the best of k independent responses; (X, Y).

    Args:
        k: how many are drawn.
        base: log-probabilities that they are drawn from; (X, Y).
        rewards: r, no two equal in a row; (X, Y).
    """
    order = np.argsort(rewards, axis=1)
    cumulative = np.cumsum(np.take_along_axis(np.exp(base), order, axis=1), axis=1)
    cumulative[:, -1] = 1.0
    below = np.concatenate([np.zeros_like(cumulative[:, :1]), cumulative[:, :-1]], axis=1)
    result = np.empty_like(base)
    with np.errstate(divide="ignore"):
        np.put_along_axis(result, order, np.log(cumulative**k - below**k), axis=1)
    return result
