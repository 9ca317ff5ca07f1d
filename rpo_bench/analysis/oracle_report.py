"""The oracle as a table: reward by KL with its interval, and how far it depends on the sample size."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from rpo_bench.spec.settings import Frozen
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.bootstrap import RESAMPLES
from rpo_bench.stats.interval import Interval
from rpo_bench.stats.joint import Joint, Term
from rpo_bench.stats.oracle import (
    MIN_EFFECTIVE_SAMPLES,
    Oracle,
    default_taus,
    estimate_oracle,
    oracle_curve,
    reward_on,
)


class OraclePoint(Frozen):
    """The oracle at one KL."""

    kl: float = Field(description="nats per sequence")
    reward: Interval
    gain: Interval = Field(description="over the reference policy, which shares the prompts")
    effective_samples: float = Field(description="of the median prompt")
    trusted: bool


class BestOfPoint(Frozen):
    """Best-of-n sampling."""

    n: int
    kl_bound: float = Field(description="log n − (n−1)/n")
    reward: float


class SizePoint(Frozen):
    """What smaller samples would have said, at one KL."""

    kl: float
    samples: tuple[int, ...]
    bias: tuple[float | None, ...] = Field(description="mean of disjoint parts less all; None past their end")


class OracleReport(Frozen):
    """An oracle."""

    task: str
    model: str
    prompts: int
    samples: int
    source: str
    end: float = Field(description="KL up to which it can be trusted, nats")
    points: tuple[OraclePoint, ...]
    best_of: tuple[BestOfPoint, ...]
    sizes: tuple[SizePoint, ...]


def oracle_report(
    rewards: Floats, prompts: Sequence[str], *, task: str, model: str, source: str, resamples: int = RESAMPLES
) -> OracleReport:
    """What reference rewards say of the best possible policy.

    Args:
        rewards: (P, N), by prompt and sample.
        prompts: Their identities, (P,).
        task: The task's name.
        model: The reference policy's name.
        source: Where the rewards come from.
        resamples: Of the bootstrap over prompts.
    """
    oracle = estimate_oracle(rewards, tuple(prompts))
    at = kl_grid(oracle.end)
    return OracleReport(
        task=task,
        model=model,
        prompts=len(rewards),
        samples=oracle.samples,
        source=source,
        end=oracle.end,
        points=tuple(_points(oracle, at, resamples)),
        best_of=tuple(
            BestOfPoint(n=n, kl_bound=float(kl), reward=float(reward))
            for n, kl, reward in zip(
                oracle.best_of, oracle.best_of_kl, oracle.best_of_reward.mean(0), strict=True
            )
        ),
        sizes=tuple(bias_by_size(rewards, at[1:])),
    )


def kl_grid(end: float) -> Floats:
    """0 and six KLs up to the end, the last one being it; 0 alone where nothing can be trusted."""
    return np.linspace(0.0, end, 7) if end > 0 else np.zeros(1)


def _points(oracle: Oracle, at: Floats, resamples: int) -> list[OraclePoint]:
    """The curve at some KLs, resampling the prompts jointly along it."""
    joint = Joint(oracle.samples, len(oracle.prompts), resamples)
    kl, reward = joint.means(oracle.kl), joint.means(oracle.reward)
    scored = np.ones(len(oracle.prompts), dtype=bool)
    start = Term("reference", -1.0, reward[:, :1], scored)
    effective = np.median(oracle.effective, axis=0)
    found = []
    for budget in at:
        term = Term("oracle", 1.0, reward_on(kl, reward, np.full(len(kl), budget))[:, None], scored)
        found.append(
            OraclePoint(
                kl=float(budget),
                reward=joint.contrast([term]).interval,
                gain=joint.contrast([term, start]).interval,
                effective_samples=float(np.interp(budget, oracle.kl.mean(0), effective)),
                trusted=bool(budget <= oracle.end),
            )
        )
    return found


def bias_by_size(rewards: Floats, at: Floats) -> list[SizePoint]:
    """How the curve moves with fewer samples: the mean over disjoint parts of N/4, N/16, N/64, less all.

    A smaller sample doesn't see the rare best responses. What the parts lack against the whole shows how fast
    that ends with N, and so what the whole may lack.

    Args:
        rewards: (P, N).
        at: KLs in nats, (K,).
    """
    total = rewards.shape[1]
    sizes = tuple(total // part for part in (4, 16, 64) if total // part >= 2 * MIN_EFFECTIVE_SAMPLES)
    whole = reward_by_kl(rewards, at)
    found: list[list[float | None]] = [[] for _ in at]
    for size in sizes:
        parts = np.stack(
            [reward_by_kl(rewards[:, i : i + size], at) for i in range(0, total - size + 1, size)]
        )
        mean = parts.mean(0)  # NaN where any part has ended
        for place, gap in enumerate(mean - whole):
            found[place].append(float(gap) if np.isfinite(gap) else None)
    return [
        SizePoint(kl=float(k), samples=sizes, bias=tuple(gaps)) for k, gaps in zip(at, found, strict=True)
    ]


def reward_by_kl(rewards: Floats, at: Floats) -> Floats:
    """The estimated oracle's reward at some KLs, (K,); NaN beyond its trustworthy end (but for rounding)."""
    honest = oracle_curve(rewards, default_taus(rewards)).trustworthy()
    if honest.kl.size == 0:
        return np.full(len(at), np.nan)
    inside = at <= honest.kl[-1] * (1 + 1e-9)
    return np.where(inside, np.interp(at, honest.kl, honest.reward), np.nan)
