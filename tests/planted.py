"""Worlds whose truth is known: results on disk with planted effects, written by the real store."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from results_factory import cell_spec, metric
from worlds import write_scored

KLS = (0.5, 1.5)  # nats at the two strengths of every method
STRENGTHS = (1.0, 0.1)


@dataclass(frozen=True)
class Method:
    """A method whose true reward over the reference is ``gains`` at 0.5 and at 1.5 nats."""

    gains: tuple[float, float]
    seed_sd: float = 0.05
    noise_sd: float = 0.2


def write_planted(
    root: Path, methods: Mapping[str, Method], world: int, seeds: int = 4, prompts: int = 30
) -> Path:
    """Writes a reference policy and every method at two strengths; prompts differ by ±0.5 for all alike."""
    rng = np.random.default_rng(world)
    easy = rng.normal(0, 0.5, prompts)

    def noisy(sd: float) -> np.ndarray:
        return easy + sd * rng.normal(size=prompts)

    write_scored(root, cell_spec("reference", None), {"kl": [0.0] * prompts, "reward": noisy(0.1).tolist()})
    for name, method in methods.items():
        for seed in range(seeds):
            luck = method.seed_sd * rng.normal()
            for strength, kl, gain in zip(STRENGTHS, KLS, method.gains, strict=True):
                nats = kl * (1 + 0.1 * rng.normal(size=prompts))
                reward = noisy(method.noise_sd) + gain + luck
                scores = {"kl": nats.tolist(), "reward": reward.tolist()}
                better = {"reward": metric(scores["reward"], better=True)}
                write_scored(root, cell_spec(name, strength, seed), scores, better)
    return root
