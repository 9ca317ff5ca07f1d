"""Where an iteration's groups come from: prompts drawn, responses sampled and scored."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from trainers.critic import RewardStart
from trainers.errors import UserError
from trainers.groups import Group
from trainers.inputs import TokenLayout
from trainers.memory import RowsAtOnce
from trainers.precision import DType, autocast
from trainers.prompt_choice import PromptSampling, prompt_choice
from trainers.rollout_backend import RolloutBackend
from trainers.sampling import Sampled, joined, sample
from trainers.seen import Seen
from trainers.sharding import Spread

#: Scores responses: (indices of their prompts, their token ids) → one finite number each.
Reward = Callable[[Sequence[int], Sequence[Sequence[int]]], Sequence[float]]

_FILTER_DRAWS = 4  # a batch is filled up by at most so many draws of prompts
_MEASURED = 4  # responses to each prompt, where prompts are measured before training


@dataclass(frozen=True)
class World:
    """The environment of the policy: prompts and reward.

    Attributes:
        prompts: token ids.
        reward: scores a batch of responses.
        eos_id: ends a response; several where the end of a turn does so too.
        max_new_tokens: of a response.
        layout: padding and decoder start.
        reward_start: the reward model behind ``reward``, where it reads the policy's own tokens.
    """

    prompts: Sequence[Sequence[int]]
    reward: Reward
    eos_id: int | tuple[int, ...]
    max_new_tokens: int
    layout: TokenLayout
    reward_start: RewardStart | None = None


@dataclass(frozen=True)
class Draws:
    """How groups are drawn.

    Attributes:
        group_size: responses to a prompt.
        prompts: which prompts are sampled.
        filters: whether groups without reward variance are drawn anew.
        temperature: of sampling.
        unfinished_reward: replaces the reward of a response cut off by the length limit; None: keeps it.
        inner_epochs: passes over an iteration's rollouts.
    """

    group_size: int
    prompts: PromptSampling = "uniform"
    filters: bool = False
    temperature: float = 1.0
    unfinished_reward: float | None = None
    inner_epochs: int = 1


class GroupSource:
    """Groups of scored rollouts of a policy, drawn from (seed, iteration) alone.

    Attributes:
        groups: of one iteration.
        counts: so far: rollouts and tokens sampled, rollouts used, and their presentations, in rollouts and
            in tokens.
        prompts: the prompts used so far.
    """

    def __init__(
        self,
        draws: Draws,
        policy: Spread,
        world: World,
        seed: int,
        batch_size: int,
        dtype: DType,
        backend: RolloutBackend | None = None,
    ) -> None:
        """Takes the policy, which is sampled in its current state at each call, by the backend if any."""
        self.draws = draws
        self.policy = policy
        self.world = world
        self.seed = seed
        self.dtype: DType = dtype
        self.backend = backend
        self.groups = max(1, batch_size // draws.group_size)
        self.choice = prompt_choice(draws.prompts, len(world.prompts))
        self.counts = dict.fromkeys(("rollouts", "tokens", "used", "presentations", "shown_tokens"), 0)
        self.prompts: set[tuple[int, ...]] = set()
        self._ranks = policy.ranks
        self._device = next(policy.module.parameters()).device
        self._at_once = RowsAtOnce(unit="prompts")

    def effective_groups(self, iteration: int, steps: int) -> tuple[list[Group], list[Group], float]:
        """An iteration's groups, all that were drawn for them, and the entropy.

        With filtering, only groups whose rewards differ are kept, as far as draws suffice.

        Args:
            iteration: counted from 0.
            steps: iterations of the whole training.
        """
        if self.backend is not None:
            with self.policy.whole() as policy:
                self.backend.load(policy)
        kept: list[Group] = []
        everything: list[Group] = []
        entropies = []
        if iteration == 0 and self.choice.measured:
            self._measure()
        draws = _FILTER_DRAWS if self.draws.filters else 1
        for draw in range(draws):
            rng = np.random.default_rng([self.seed, iteration, draw, 0x0111])
            chosen = self.choice.choose(rng, self.groups, iteration / steps)
            drawn, entropy = self._sample(chosen, rng, iteration, self.draws.group_size)
            entropies.append(entropy)
            everything += drawn
            wanted = [g for g in drawn if not g.degenerate] if self.draws.filters else drawn
            kept.extend(wanted)
            if len(kept) >= self.groups:
                break
        if self.backend is not None:
            self.backend.rest()
        if not kept:
            kept = drawn  # nothing but degenerate groups: the iteration has no gradient but the KL's
        return kept[: self.groups], everything, float(np.mean(entropies))

    def count_used(self, groups: Sequence[Group], iteration: int) -> None:
        """Counts the groups of an iteration, replayed ones among them, once they are settled."""
        fresh = [group for group in groups if group.born == iteration]
        self.prompts.update(tuple(group.prompt) for group in fresh)
        self.counts["used"] += sum(len(group.responses) for group in fresh)
        shown = [response for group in groups for response in group.responses]
        self.counts["presentations"] += len(shown) * self.draws.inner_epochs
        self.counts["shown_tokens"] += sum(map(len, shown)) * self.draws.inner_epochs

    @property
    def seen(self) -> Seen:
        """The data used so far."""
        used, shown = self.counts["used"], self.counts["presentations"]
        epochs = shown / max(1, used)
        tokens = self.counts["shown_tokens"]
        return Seen(self.counts["rollouts"], used, len(self.prompts), shown, tokens, epochs)

    def state(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        prompts = [list(prompt) for prompt in sorted(self.prompts)]
        return {"counts": dict(self.counts), "prompts": prompts, "choice": self.choice.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Restores a ``state``."""
        self.counts, self.prompts = dict(state["counts"]), {tuple(prompt) for prompt in state["prompts"]}
        if "choice" in state:  # else it is of an earlier version, which chose uniformly
            self.choice.load(state["choice"])

    def _measure(self) -> None:
        """Samples a few responses to every prompt, for the choice to know."""
        everyone = range(len(self.world.prompts))
        for start in everyone[:: self.groups]:
            rng = np.random.default_rng([self.seed, start, 0x0333])
            self._sample(list(everyone[start : start + self.groups]), rng, 0, _MEASURED)

    def _sample(
        self, chosen: list[int], rng: np.random.Generator, iteration: int, size: int
    ) -> tuple[list[Group], float]:
        """Samples and scores a group for each chosen prompt."""
        world = self.world
        uniforms = torch.as_tensor(rng.random((len(chosen) * size, world.max_new_tokens))).to(self._device)
        prompts = [list(world.prompts[i]) for i in chosen]
        owners = [i for i in chosen for _ in range(size)]
        found, rewards = self._scored(prompts, owners, uniforms)
        if self.draws.unfinished_reward is not None:
            cut = self.draws.unfinished_reward
            rewards = [r if done else cut for r, done in zip(rewards, found.finished, strict=True)]
        self.counts["rollouts"] += len(owners)
        self.counts["tokens"] += sum(len(response) for response in found.responses)
        parts = [slice(start, start + size) for start in range(0, len(owners), size)]
        groups = [
            Group(prompt, found.responses[p], rewards[p], found.logps[p], found.finished[p], iteration)
            for prompt, p in zip(prompts, parts, strict=True)
        ]
        for prompt, group in zip(chosen, groups, strict=True):
            self.choice.observe(prompt, group.rewards)
        return groups, found.entropy

    def _scored(
        self, prompts: Sequence[Sequence[int]], owners: Sequence[int], uniforms: torch.Tensor
    ) -> tuple[Sampled, list[float]]:
        """Responses to prompts and their rewards; each rank samples and scores its share of them."""
        size = len(owners) // len(prompts)
        share = self._ranks.share(len(prompts))
        rows = slice(share.start * size, share.stop * size)
        own = self._responses(prompts[share], uniforms[rows])
        scored = [(one, checked_rewards(self.world.reward, owners[rows], one.responses)) for one in own]
        parts = [part for each in self._ranks.every(scored) for part in each]
        return joined([found for found, _ in parts]), [reward for _, own in parts for reward in own]

    def _responses(self, prompts: Sequence[Sequence[int]], uniforms: torch.Tensor) -> list[Sampled]:
        """Responses to this rank's prompts by uniform numbers (B, T); none if it has no prompt."""
        if self.backend is not None:
            if not prompts:
                return []
            seeds = (uniforms[:, 0] * 2**31).long().tolist()
            count = len(seeds) // len(prompts)
            return [self.backend.sample(prompts, count, seeds, self.draws.temperature)]
        with self.policy.whole() as policy:
            if not prompts:
                return []
            attempt = partial(self._sampled, policy, prompts, uniforms)
            return [self._at_once.run(len(prompts), 1, attempt)]

    def _sampled(
        self, policy: Any, prompts: Sequence[Sequence[int]], uniforms: torch.Tensor, at_once: int
    ) -> Sampled:
        """Responses to prompts, so many prompts at a time, by uniform numbers (B, T)."""
        world, size = self.world, len(uniforms) // len(prompts)
        with autocast(self.dtype, self._device):
            return joined(
                [
                    sample(
                        policy,
                        prompts[first : first + at_once],
                        size,
                        world.layout,
                        world.eos_id,
                        uniforms[first * size : (first + at_once) * size],
                        self.draws.temperature,
                    )
                    for first in range(0, len(prompts), at_once)
                ]
            )


def checked_rewards(reward: Reward, owners: Sequence[int], responses: Sequence[Sequence[int]]) -> list[float]:
    """The reward function's answer as finite numbers.

    Raises:
        UserError: it raised, or gave too few numbers, or one that isn't finite.
    """
    try:
        found = [float(number) for number in reward(owners, responses)]
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"The reward function raised {type(error).__name__}: {error}") from error
    if len(found) != len(responses):
        raise UserError(f"The reward function gave {len(found)} numbers for {len(responses)} responses.")
    for i, number in enumerate(found):
        if not math.isfinite(number):
            raise UserError(
                f"The reward function gave {number} for response {i} of a batch (prompt {owners[i]}): every "
                "response needs a finite reward; give unusable ones a low number."
            )
    return found
