"""Which prompts an online method samples next: uniformly, by a curriculum, or by what they teach."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

#: "filtered" draws uniformly; groups without reward variance are then drawn anew.
PromptSampling = Literal["uniform", "curriculum", "adaptive", "filtered"]

_FIRST_SHARE = 0.25  # of the prompts, the easiest ones: where a curriculum starts
_WHOLE_FROM = 0.5  # of the training: all prompts from here on
_KEPT = 0.5  # of earlier evidence at each new one: the policy has changed since


class PromptChoice(ABC):
    """Chooses prompts, from what it was told of their rewards.

    Attributes:
        measured: whether every prompt is sampled once before training.
    """

    measured = False

    def __init__(self, prompts: int) -> None:
        """Takes the number of prompts."""
        self.prompts = prompts

    def choose(self, rng: np.random.Generator, count: int, progress: float) -> list[int]:
        """``count`` prompts, all different if there are as many.

        Args:
            rng: source of randomness.
            count: number of prompts.
            progress: share of the training that is done.
        """
        if count > self.prompts:
            return [int(i) for i in rng.integers(self.prompts, size=count)]
        return [int(i) for i in self._different(rng, count, progress)]

    @abstractmethod
    def _different(self, rng: np.random.Generator, count: int, progress: float) -> NDArray[np.int64]:
        """``count`` different prompts, (count,)."""

    def observe(self, prompt: int, rewards: Sequence[float]) -> None:
        """Learns the rewards of a group of responses to a prompt."""
        del prompt, rewards

    def state(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Restores a ``state``."""
        del state


class Uniform(PromptChoice):
    """Every prompt with the same probability."""

    def _different(self, rng: np.random.Generator, count: int, progress: float) -> NDArray[np.int64]:
        del progress
        return rng.choice(self.prompts, size=count, replace=False)


class Curriculum(PromptChoice):
    """Easy prompts first: uniform among a share of the easiest that grows over training.

    How easy a prompt is, is the mean reward of the first policy's responses. They are sampled before training
    and count as rollouts.
    """

    measured = True

    def __init__(self, prompts: int) -> None:
        """Takes the number of prompts."""
        super().__init__(prompts)
        self.ease = np.full(prompts, np.nan)  # (P,)

    def observe(self, prompt: int, rewards: Sequence[float]) -> None:
        """Only the first rewards of a prompt count."""
        if np.isnan(self.ease[prompt]):
            self.ease[prompt] = float(np.mean(rewards))

    def _different(self, rng: np.random.Generator, count: int, progress: float) -> NDArray[np.int64]:
        share = min(1.0, _FIRST_SHARE + (1 - _FIRST_SHARE) * progress / _WHOLE_FROM)
        pool = max(count, round(share * self.prompts))
        easiest = np.argsort(-np.nan_to_num(self.ease), kind="stable")[:pool]
        return rng.choice(easiest, size=count, replace=False)

    def state(self) -> dict[str, Any]:
        """The ease of each prompt."""
        return {"ease": self.ease.tolist()}

    def load(self, state: dict[str, Any]) -> None:
        """Restores a ``state``."""
        self.ease = np.array(state["ease"])


class Adaptive(PromptChoice):
    """Thompson sampling of prompts that teach most, as MoPPS (arXiv 2507.04632).

    With rewards of 0 and 1 each prompt has a Beta posterior of its success rate, and the prompts whose drawn
    rate is nearest to ½ are taken. With other rewards it has a scaled inverse χ² posterior of their variance,
    and those with the largest drawn variance are taken. Evidence halves with each new group of a prompt.
    """

    def __init__(self, prompts: int) -> None:
        """Takes the number of prompts."""
        super().__init__(prompts)
        self.binary = True
        self.successes, self.failures = np.zeros(prompts), np.zeros(prompts)  # (P,)
        self.freedom, self.squares = np.zeros(prompts), np.zeros(prompts)  # (P,)

    def observe(self, prompt: int, rewards: Sequence[float]) -> None:
        """Adds a group's rewards to the prompt's evidence."""
        found = np.asarray(rewards, dtype=np.float64)
        self.binary = self.binary and bool(np.isin(found, (0.0, 1.0)).all())
        for evidence, new in (
            (self.successes, found.sum()),
            (self.failures, (1 - found).sum()),
            (self.freedom, len(found) - 1),
            (self.squares, np.square(found - found.mean()).sum()),
        ):
            evidence[prompt] = _KEPT * evidence[prompt] + new

    def _different(self, rng: np.random.Generator, count: int, progress: float) -> NDArray[np.int64]:
        del progress
        if self.binary:
            distance = np.abs(rng.beta(1 + self.successes, 1 + self.failures) - 0.5)
        else:
            usual = self.squares.sum() / max(self.freedom.sum(), 1.0)
            usual = usual or 1.0  # nothing has varied yet: chance decides
            distance = -(usual + self.squares) / rng.chisquare(1 + self.freedom)
        return np.argsort(distance, kind="stable")[:count]

    def state(self) -> dict[str, Any]:
        """The evidence on each prompt."""
        names = ("successes", "failures", "freedom", "squares")
        return {"binary": self.binary} | {name: getattr(self, name).tolist() for name in names}

    def load(self, state: dict[str, Any]) -> None:
        """Restores a ``state``."""
        self.binary = state["binary"]
        for name in ("successes", "failures", "freedom", "squares"):
            setattr(self, name, np.array(state[name]))


def chosen_prompts(prompts: str, how: PromptSampling, filters: bool = False) -> str:
    """The prompts in words, with how they are chosen.

    Args:
        prompts: what they are.
        how: how they are chosen.
        filters: whether groups without reward variance are drawn anew.
    """
    parts = [_IN_WORDS[how]] if how in _IN_WORDS else []
    parts += ["groups whose rewards differ"] if filters or how == "filtered" else []
    return ", ".join([prompts, *parts])


_IN_WORDS = {"curriculum": "easy ones first", "adaptive": "those that teach most"}


def prompt_choice(how: PromptSampling, prompts: int) -> PromptChoice:
    """The choice of that name, for a number of prompts."""
    kinds: dict[str, type[PromptChoice]] = {"curriculum": Curriculum, "adaptive": Adaptive}
    return kinds.get(how, Uniform)(prompts)
