"""Logged data of a tabular problem: groups of K responses to a prompt.

Every response occurs exactly in proportion to its probability, and noise is spaced evenly over its quantiles.
Only the grouping is random. The distance between a fixed point on these data and the optimum is therefore due
to the method, apart from the randomness of grouping, which shrinks with the number of groups.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpo_bench.data.convert import LabelRule, desirable_labels
from rpo_bench.stats.arrays import Floats
from rpo_bench.tabular.world import GRAIN, World
from trainers.examples import Examples

REPEATS = 16  # of every group, where rewards are noisy
_STRIDE = 5  # of the lattice (i/16, 5i/16 mod 1), whose points are well spread over the square


@dataclass(frozen=True)
class Sampling:
    """How the data were logged.

    Attributes:
        k: responses in a group, and reference samples beside it.
        groups: number of groups per prompt. With noise, the number of distinct groups, each of which occurs
            REPEATS times.
        off_policy: whether μ wrote the responses, rather than π_ref.
        noise: scale of the Gumbel noise (of mean 0) in every observed reward. Comparing two such rewards
            gives Bradley–Terry preferences: P(1 beats 2) = σ((r_1 − r_2)/noise).
    """

    k: int
    groups: int
    off_policy: bool = False
    noise: float = 0.0


def whole_groups(k: int, rows: int) -> int:
    """The fewest groups of k that make ``rows`` rows or more and a multiple of GRAIN of them."""
    unit = GRAIN // math.gcd(k, GRAIN)
    return unit * max(1, -(-rows // (k * unit)))


def log_responses(
    world: World,
    sampling: Sampling,
    seed: int,
    label_rule: LabelRule = "prompt_mean",
    *,
    reference_rewards: bool = True,
) -> Examples:
    """The training data of a method; the token ids of a row identify its prompt and response.

    Row i has the prompt [x] and the response [y, y, …], as many tokens as the response has. Labels and
    behaviour log-probs are always included.

    Args:
        world: the tabular problem.
        sampling: how the data are logged.
        seed: of the grouping and of the noise.
        label_rule: what makes a response desirable.
        reference_rewards: whether every group has rewards of K samples of π_ref beside it.
    """
    rng = np.random.default_rng([seed, 0x106])
    counts = world.behaviour_counts if sampling.off_policy else world.reference_counts
    grouped = [_groups(rng, row, sampling) for row in counts]  # X × (G, K)
    y = np.concatenate(grouped)  # (X·G, K)
    x = np.repeat(np.arange(len(counts)), len(grouped[0]))  # (X·G,)
    rewards = _observed(rng, world.rewards[x[:, None], y], sampling.noise)
    known = None
    if reference_rewards:
        beside = np.concatenate([_groups(rng, row, sampling) for row in world.reference_counts])
        known = dict(enumerate(_observed(rng, world.rewards[x[:, None], beside], sampling.noise)))
    xs, ys, groups = np.repeat(x, sampling.k), y.ravel(), np.repeat(np.arange(len(x)), sampling.k)
    tokens = [[[y] * int(n) for y, n in enumerate(row)] for row in world.lengths]
    return Examples(
        prompts=[[x] for x in xs.tolist()],
        responses=[tokens[x][y] for x, y in zip(xs.tolist(), ys.tolist(), strict=True)],
        rewards=rewards.ravel(),
        groups=groups,
        desirable=desirable_labels(rewards.ravel(), groups, label_rule),
        behaviour_logps=np.log(counts[xs, ys] / GRAIN),
        reference_rewards=known,
    )


def cells(examples: Examples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which prompt and which response each row is; (N,) and (N,)."""
    xs = np.array([prompt[0] for prompt in examples.prompts], dtype=np.int64)
    ys = np.array([response[0] for response in examples.responses], dtype=np.int64)
    return xs, ys


def _groups(rng: np.random.Generator, counts: NDArray[np.int64], sampling: Sampling) -> NDArray[np.int64]:
    """Responses in exact proportion to ``counts``, shuffled into groups; (G, K), or (G · REPEATS, K)."""
    copies, rest = divmod(sampling.groups * sampling.k, GRAIN)
    assert rest == 0, "groups · K is no multiple of GRAIN: see whole_groups"
    pool = rng.permutation(np.repeat(np.arange(len(counts)), counts * copies))
    repeats = REPEATS if sampling.noise > 0.0 else 1
    return np.repeat(pool.reshape(sampling.groups, sampling.k), repeats, axis=0)


def _observed(rng: np.random.Generator, rewards: Floats, noise: float) -> Floats:
    """Rewards with Gumbel noise, even over the repeats of a group: a lattice, shifted at random; (G, K)."""
    if noise == 0.0:
        return rewards
    repeat = np.arange(len(rewards))[:, None] % REPEATS  # (G, 1)
    stride = np.where(np.arange(rewards.shape[1]) % 2 == 0, 1, _STRIDE)  # neighbours differ: they make pairs
    shift = np.repeat(rng.random((len(rewards) // REPEATS, rewards.shape[1])), REPEATS, axis=0)
    u = (repeat * stride / REPEATS + shift) % 1.0
    gumbel: Floats = -np.log(-np.log(u)) - np.euler_gamma
    return rewards + noise * gumbel
