"""What the best possible policy would reach: the optimum of KL-regularised reward, from reference samples.

``max_π E r − τ KL(π‖π_ref)`` has the solution ``π*(y|x) ∝ π_ref(y|x) exp(r(x, y)/τ)``. Samples of π_ref stand
for it under the weights ``w ∝ exp(r/τ)``. All prompts share τ: that is the frontier of the averaged problem,
because a policy of the same mean KL that spent its nats otherwise would have less mean reward.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from rpo_bench.stats.arrays import Floats

#: The n of best-of-n, as far as there are samples.
_BEST_OF = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)

#: Fewest effective samples per prompt at which a point of the oracle is still drawn.
MIN_EFFECTIVE_SAMPLES = 10.0


@dataclass(frozen=True)
class OracleCurve:
    """The oracle at T strengths, averaged over prompts.

    Attributes:
        taus: τ, as given; (T,).
        kl: KL(π*‖π_ref) in nats per sequence; (T,).
        reward: E_π* r; (T,).
        ess: Median over prompts of the effective sample size, as a share of N; (T,).
        samples: N, the reference samples per prompt.
    """

    taus: Floats
    kl: Floats
    reward: Floats
    ess: Floats
    samples: int

    def trustworthy(self, effective_samples: float = MIN_EFFECTIVE_SAMPLES) -> "OracleCurve":
        """The part at which the median prompt has that many effective samples; may be empty.

        Beyond it a prompt's few best samples stand for the whole policy: the estimated reward stops at the
        best sample seen and the KL at log N, both too low.
        """
        kept = self.ess * self.samples >= effective_samples
        return OracleCurve(self.taus[kept], self.kl[kept], self.reward[kept], self.ess[kept], self.samples)


def oracle_curve(rewards: Floats, taus: Floats) -> OracleCurve:
    """The oracle's KL and reward by self-normalised importance weights.

    ``tilted`` of each prompt, then the mean over prompts. τ = ∞ is the reference itself.

    Args:
        rewards: Of N reference samples for each of P prompts, (P, N), finite.
        taus: Strengths in units of reward per nat, positive, (T,).
    """
    points = [tilted(rewards, float(tau)) for tau in taus]
    kl, reward, ess = (np.array([point[i] for point in points]) for i in range(3))  # (T, P) each
    return OracleCurve(
        np.asarray(taus, dtype=np.float64),
        kl.mean(1),
        reward.mean(1),
        np.median(ess, axis=1),
        rewards.shape[1],
    )


def default_taus(rewards: Floats, count: int = 60) -> Floats:
    """Strengths that trace the curve from the reference to its end: ∞, then down to 1/100 of the spread.

    Args:
        rewards: (P, N).
        count: T.
    """
    spread = float(np.sqrt(np.mean(np.var(rewards, axis=1)))) or 1.0  # within prompts
    return np.concatenate([[np.inf], spread * np.geomspace(100, 0.01, count - 1)])


def best_of(rewards: Floats, n: int) -> Floats:
    """The expected best of n for each prompt, without bias; (P, N) → (P,).

    The i-th smallest of N is the best of a random n of them in C(i−1, n−1) of C(N, n) cases.
    """
    size = rewards.shape[1]
    rank = np.arange(n, size + 1)
    log_share = _log_choose(rank - 1, n - 1) - _log_choose(np.array(size), n)
    return np.asarray(np.sort(rewards, axis=1)[:, n - 1 :] @ np.exp(log_share))


def tilted(rewards: Floats, tau: float) -> tuple[Floats, Floats, Floats]:
    """KL, reward and effective share of samples at one τ, for each prompt; (P, N) → (P,) each.

    ``reward = Σ w r`` and ``KL = Σ w r/τ − log mean exp(r/τ)`` with ``w ∝ exp(r/τ)``.
    """
    log_weights = (rewards - rewards.max(axis=1, keepdims=True)) / tau  # (P, N), at most 0
    log_weights = log_weights - logsumexp(log_weights, axis=1, keepdims=True)
    weights = np.exp(log_weights)
    size = rewards.shape[1]
    # Σ w r/τ − log mean exp(r/τ) = Σ w log(N w), which doesn't lose digits; w log w → 0 with w.
    kl = np.log(size) + np.where(weights > 0, weights * log_weights, 0.0).sum(1)
    ess = 1 / (size * np.square(weights).sum(1))
    return np.maximum(kl, 0.0), (weights * rewards).sum(1), ess


@dataclass(frozen=True)
class Oracle:
    """The optimum of reward − τ·KL for a range of τ, estimated from samples of the reference policy.

    Attributes:
        prompts: The prompts' identities, (P,).
        kl: Nats, by prompt and τ from large to small, (P, T).
        reward: Likewise, (P, T).
        effective: Effective number of samples behind it, likewise, (P, T).
        samples: Samples per prompt that it was estimated from.
        best_of: n of the best-of-n curve, (M,).
        best_of_kl: Its KL at most, nats, (M,).
        best_of_reward: By prompt, (P, M).
    """

    prompts: tuple[str, ...]
    kl: Floats
    reward: Floats
    effective: Floats
    samples: int
    best_of: tuple[int, ...]
    best_of_kl: Floats
    best_of_reward: Floats

    @property
    def trusted(self) -> int:
        """How many of the τ, from the largest, have enough effective samples on the median prompt."""
        enough = np.median(self.effective, axis=0) >= MIN_EFFECTIVE_SAMPLES
        return len(enough) if enough.all() else int(np.argmin(enough))

    @property
    def end(self) -> float:
        """The KL up to which it can be trusted, nats."""
        return float(self.kl[:, self.trusted - 1].mean()) if self.trusted else 0.0

    def select(self, prompts: tuple[str, ...]) -> "Oracle | None":
        """The same for some of the prompts, in their order; None when it doesn't know them all."""
        index = {prompt: i for i, prompt in enumerate(self.prompts)}
        if not prompts or not set(prompts) <= set(index):
            return None
        at = [index[prompt] for prompt in prompts]
        return Oracle(
            prompts,
            self.kl[at],
            self.reward[at],
            self.effective[at],
            self.samples,
            self.best_of,
            self.best_of_kl,
            self.best_of_reward[at],
        )


def estimate_oracle(rewards: Floats, prompts: tuple[str, ...]) -> Oracle:
    """The oracle from rewards of samples of the reference policy.

    Args:
        rewards: (P, N), by prompt and sample.
        prompts: The prompts' identities, (P,).
    """
    points = [tilted(rewards, float(tau)) for tau in default_taus(rewards)]
    kl, reward, share = (np.stack([point[i] for point in points], axis=1) for i in range(3))  # (P, T)
    samples = rewards.shape[1]
    counts = tuple(n for n in _BEST_OF if n <= samples)
    return Oracle(
        prompts=prompts,
        kl=kl,
        reward=reward,
        effective=share * samples,
        samples=samples,
        best_of=counts,
        best_of_kl=np.array([np.log(n) - (n - 1) / n for n in counts]),
        best_of_reward=np.stack([best_of(rewards, n) for n in counts], axis=1),
    )


def reward_on(kl: Floats, reward: Floats, at: Floats) -> Floats:
    """Each row's reward at its own KL, by straight lines between its points and flat beyond its ends.

    Args:
        kl: Rising along every row, (R, T).
        reward: At these points, (R, T).
        at: One KL for every row, (R,).

    Returns:
        (R,).
    """
    rows = np.arange(len(kl))
    right = np.count_nonzero(kl <= at[:, None], axis=1)
    before, after = np.clip(right - 1, 0, None), np.clip(right, None, kl.shape[1] - 1)
    span = kl[rows, after] - kl[rows, before]
    share = np.where(span > 0, (at - kl[rows, before]) / np.where(span > 0, span, 1.0), 0.0)
    return np.asarray(
        reward[rows, before] + np.clip(share, 0, 1) * (reward[rows, after] - reward[rows, before])
    )


def _log_choose(total: NDArray[np.int64], part: int) -> Floats:
    return np.asarray(gammaln(total + 1) - gammaln(part + 1) - gammaln(total - part + 1))
