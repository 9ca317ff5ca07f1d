"""The online engine: sample → score → advantage → inner epochs → step."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainers.critic import Critic, values_of
from trainers.drawing import GroupSource, World
from trainers.gradients import GradientScales
from trainers.groups import Group, ReplayBuffer, padded
from trainers.inputs import ModelInputs
from trainers.memory import RowsAtOnce
from trainers.offline import DivergedError
from trainers.on_policy import Mismatch, rescored
from trainers.online import Minibatch, OnlineMethod, Rollouts
from trainers.optimisers import critic_optimiser, parameters_of, policy_optimiser, schedule
from trainers.passes import Passes
from trainers.precision import DType, autocast
from trainers.rates import learning_rates
from trainers.recomputing import recomputed_layers, recomputing
from trainers.reward_scale import RewardScale
from trainers.rollout_backend import RolloutBackend
from trainers.rollout_log import described
from trainers.settings import TrainingSettings
from trainers.sharding import Spread, add_gradients, keep_whole_states
from trainers.shared_rows import shared_logps_and_entropies, shared_token_logps


class OnlineTrainer:
    """One policy in training. An iteration samples, scores, and climbs the method's surrogate.

    All randomness is drawn from (seed, iteration), so a resumed run needs only the iteration's number.
    """

    def __init__(
        self,
        method: OnlineMethod,
        policy: Spread,
        reference: Callable[[ModelInputs], Tensor],
        world: World,
        settings: TrainingSettings,
        dtype: DType,
        critic: Spread | None,
        backend: RolloutBackend | None = None,
    ) -> None:
        """Takes the policy, and a function that gives the reference's log-probs (B, T) of inputs."""
        self.method = method
        self.spread_policy = policy
        self.policy = policy.module
        self.reference = reference
        self.world = world
        self.settings = settings
        self.dtype: DType = dtype
        self.spread_critic = critic
        self.critic: Critic | None = None if critic is None else critic.module
        self.ranks = policy.ranks
        self.device = next(self.policy.parameters()).device
        self.backend = backend
        self.source = GroupSource(
            method.draws, policy, world, settings.seed, settings.batch_size, dtype, backend
        )
        self.buffer = ReplayBuffer(method.replay_groups, method.max_age)
        rate, beside = learning_rates(method, self.policy, settings)
        self.optimisers = [policy_optimiser(self.policy, rate, settings)]
        if self.critic is not None:
            parameters = self.critic.trained_parameters()
            self.optimisers.append(critic_optimiser(self.critic, parameters, beside, settings))
        for optimiser in self.optimisers:
            keep_whole_states(optimiser, self.ranks)
        self.scales = GradientScales(settings.clipping, settings.max_grad_norm)
        self.reward_scale = RewardScale(method.reward_scaling, method.reward_clip)
        self._at_once = RowsAtOnce(settings.micro_batch_size, retries=self.ranks.may_retry)
        self._recomputed = recomputed_layers(self.policy, self.critic)
        self._passes: Passes | None = None
        self._mismatch, self._compares = Mismatch(), False
        self._untrained = False  # whether the policy is the reference still

    # --- one iteration ---

    def iterate(self, iteration: int) -> dict[str, float]:
        """Samples, trains, and returns the log record."""
        started = time.perf_counter()
        self._untrained = iteration == 0
        self.policy.eval()
        fresh, drawn, entropy = self.source.effective_groups(iteration, self.settings.steps)
        sampled = time.perf_counter()
        self.reward_scale.add([reward for group in drawn for reward in group.rewards])
        self._mismatch = Mismatch()
        # In float32 the first step's pass is compared with the sampled log-probs. Else single steps round
        # otherwise than whole passes, as another engine does: these then give the log-probs of both.
        self._compares = self.dtype == "float32" and self.backend is None
        if not self._compares:
            fresh = self._rescored(fresh, iteration)
        groups = self.buffer.replace(fresh, iteration) if self.buffer.size else fresh
        self.source.count_used(groups, iteration)
        rollouts = self._assemble(groups, iteration)
        advantages, returns = self._advantages(rollouts)
        advantages = self._weighted(advantages, groups, rollouts.mask)
        record = described(drawn, rollouts) | {"kl_coef": self.method.kl_coef, "entropy": entropy}
        record |= self.reward_scale.record()
        record |= self._inner_epochs(rollouts, advantages, returns, iteration)
        record |= self._mismatch.record() | {"clipped": self.scales.policy.clipped_share}
        self._adapt_kl(record["kl"])
        seconds = time.perf_counter() - started
        return record | {"generation_share": (sampled - started) / seconds} | self.source.counts

    def _rescored(self, fresh: list[Group], iteration: int) -> list[Group]:
        """Fresh groups with the log-probs that a training pass gives them."""
        self._passes = self._passes_over(fresh)
        by_other = self.backend is not None
        found = rescored(fresh, self._score(self._policy_logps), self._mismatch, by_other)
        if iteration == 0 and by_other:
            self._mismatch.check_engine()
        elif iteration == 0:
            self._mismatch.check(self.dtype)
        return found

    def _compare(self, rollouts: Rollouts, seen: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Records the difference between the sampled log-probs and passes before the first step."""
        if not self._compares:
            return
        own = [(part.cpu(), logps.cpu()) for part, logps in seen]
        for each in self.ranks.every(own):
            for part, logps in each:
                rows = part.to(self.device)
                fresh = (rollouts.age[rows] == 0)[:, None]
                mask = rollouts.mask[rows] & fresh
                self._mismatch.add(rollouts.behaviour_logps[rows], logps.to(self.device), mask)

    def _assemble(self, groups: list[Group], iteration: int) -> Rollouts:
        """The groups as tensors, with current log-probs of policy and reference, and values of the critic."""
        self._passes = self._passes_over(groups)
        mask = self._passes.inputs.response_mask
        behaviour = padded([row for g in groups for row in g.behaviour_logps], mask.shape[1])
        behaviour = behaviour.to(self.device)
        age = torch.tensor([iteration - g.born for g in groups for _ in g.responses])
        # Until the first step the policy is the reference. Rounding between two passes would be a gradient,
        # which Adam makes a whole step where all rewards are equal.
        reference = behaviour if self._untrained else self._score(self.reference)
        proximal, values = behaviour, None
        replayed = (age > 0).to(self.device)
        if bool(replayed.any()):  # the proximal policy isn't the one that sampled these
            proximal = torch.where(replayed[:, None], self._score(self._policy_logps), behaviour)
        if self.critic is not None:
            values = self._score(partial(values_of, self.critic))
        rewards = torch.tensor([r for g in groups for r in g.rewards], dtype=torch.float64)
        rewards = self.reward_scale.apply(rewards)
        owner = torch.arange(len(groups)).repeat_interleave(self.method.group_size)
        finished = torch.tensor([done for g in groups for done in g.finished])
        rewards, owner, finished, age = (c.to(self.device) for c in (rewards, owner, finished, age))
        return Rollouts(rewards, owner, mask, behaviour, proximal, reference, finished, age, values)

    def _advantages(self, rollouts: Rollouts) -> tuple[Tensor, Tensor | None]:
        """The method's advantages and targets: worked out in float64, then float32 as the losses are."""
        found, targets = self.method.advantages(rollouts)
        return found.float(), None if targets is None else targets.float()

    def _weighted(self, advantages: Tensor, groups: Sequence[Group], mask: Tensor) -> Tensor:
        """Advantages times truncated importance weights, where another engine sampled the groups."""
        if self.backend is None:
            return advantages
        gaps = [
            gap
            for group in groups
            for gap in group.log_weights or [torch.zeros(len(one)) for one in group.responses]
        ]
        log_weights = padded(gaps, mask.shape[1]).to(self.device)
        return advantages * self.method.sampler_weights(log_weights, mask)

    def _inner_epochs(
        self, rollouts: Rollouts, advantages: Tensor, returns: Tensor | None, iteration: int
    ) -> dict[str, float]:
        """Optimiser steps over shuffled groups; returns the means of what the surrogate logs."""
        size = self.method.group_size
        rng = np.random.default_rng([self.settings.seed, iteration, 0x1EA2])
        logged: dict[str, list[float]] = {}
        count = len(rollouts) // size
        for _ in range(self.method.inner_epochs):
            for part in np.array_split(rng.permutation(count), min(self.method.minibatches, count)):
                rows = torch.as_tensor((part[:, None] * size + np.arange(size)).ravel(), device=self.device)
                for name, number in self._step(rollouts, advantages, returns, rows, iteration).items():
                    logged.setdefault(name, []).append(number)
        return {name: float(np.mean(numbers)) for name, numbers in logged.items()}

    def _step(
        self, rollouts: Rollouts, advantages: Tensor, returns: Tensor | None, rows: Tensor, iteration: int
    ) -> dict[str, float]:
        """One optimiser step on the rollouts at ``rows``."""
        logged = self._at_once.run(
            len(rows),
            self.method.group_size,
            lambda size: self._accumulate(rollouts, advantages, returns, rows, size),
        )
        if not math.isfinite(logged["loss"]):
            raise DivergedError(f"the loss became {logged['loss']} in iteration {iteration + 1}")
        if self._compares and iteration == 0:
            self._mismatch.check(self.dtype)
        self._compares = self._untrained = False
        return logged | self._update(iteration)

    def _accumulate(
        self, rollouts: Rollouts, advantages: Tensor, returns: Tensor | None, rows: Tensor, size: int
    ) -> dict[str, float]:
        """The loss of the rollouts at ``rows``; its gradient is added up over passes of ``size`` rows.

        Each rank computes its share of them.
        """
        logged: dict[str, float] = {}
        tokens = int(rollouts.mask[rows].sum())
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        assert self._passes is not None
        seen: list[tuple[Tensor, Tensor]] = []
        for part, counts in self._passes.parts(rows, size):
            inputs = self._passes.select(part)
            with autocast(self.dtype, self.device), recomputing(self._recomputed):
                logps, entropies = self._policy_logps_and_entropies(inputs)
                values = None if self.critic is None else self.critic(inputs)
            longest = self.world.max_new_tokens
            rolled = rollouts.take(part)
            if self._untrained:
                rolled = rolled.all_under(logps.detach())
            batch = Minibatch(
                rolled,
                advantages[part],
                None if returns is None else returns[part],
                logps,
                values,
                len(rows),
                tokens,
                longest,
                entropies,
            )
            output = self.method.surrogate(batch)
            (output.loss * (self.ranks.gradient_factor * counts)).backward()
            if counts:
                seen.append((part, logps.detach()))
                for name, number in {"loss": output.loss.detach(), **output.logged}.items():
                    logged[name] = logged.get(name, 0.0) + float(number)
        # Only now: memory may run out before, and all is done again.
        self._compare(rollouts, seen)
        return self.ranks.totals(logged)

    def _update(self, iteration: int) -> dict[str, float]:
        """Scales, clips and steps; returns the gradient norms and the share of steps clipped."""
        progress = iteration / self.settings.steps
        warm = min(1.0, (iteration + 1) / max(1, self.settings.warmup_steps))
        policy, *critic = (parameters_of(optimiser) for optimiser in self.optimisers)
        add_gradients(chain(policy, *critic), self.ranks)
        found = self.scales.apply(policy, critic[0] if critic else None)
        for name, number in found.items():
            if not math.isfinite(number):
                raise DivergedError(f"the {name} became {number} in iteration {iteration + 1}")
        for optimiser in self.optimisers:
            schedule(optimiser, warm * (1 - progress))
            optimiser.step()
            optimiser.zero_grad()
        return found

    # --- small parts ---

    def _policy_logps(self, inputs: ModelInputs) -> Tensor:
        return shared_token_logps(self.policy, inputs, self.method.temperature)

    def _policy_logps_and_entropies(self, inputs: ModelInputs) -> tuple[Tensor, Tensor | None]:
        if self.method.uses_entropy:
            return shared_logps_and_entropies(self.policy, inputs, self.method.temperature)
        return self._policy_logps(inputs), None

    def _passes_over(self, groups: Sequence[Group]) -> Passes:
        layout, tokens = self.world.layout, self.settings.tokens_per_micro_batch
        minibatches, recomputed = self.method.minibatches, self._recomputed
        return Passes.of(groups, layout, self.device, self.dtype, minibatches, tokens, recomputed, self.ranks)

    def _score(self, function: Callable[[ModelInputs], Tensor]) -> Tensor:
        """What the function says of an iteration's rows, without gradients; (N, …)."""
        passes = self._passes
        assert passes is not None
        rows = len(passes.inputs.labels)
        return self._at_once.run(rows, passes.group_size, partial(passes.score, function))

    def _adapt_kl(self, kl: float) -> None:
        """Adaptive KL (arXiv 1909.08593): moves kl_coef towards the target, by at most 2 % an iteration."""
        target = self.method.target_kl
        if target is not None:
            error = min(0.2, max(-0.2, kl / target - 1))
            self.method = dataclasses.replace(self.method, kl_coef=self.method.kl_coef * (1 + 0.1 * error))

    # --- resuming ---

    def state(self) -> dict[str, Any]:
        """Everything that the next iteration depends on, as tensors and plain values; on the first rank."""
        with self.spread_policy.whole() as policy, self._whole_critic() as critic:
            return {
                "policy": policy.state_dict() if self.ranks.first else {},
                "critic": critic.state_dict() if self.ranks.first and critic is not None else None,
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "scales": self.scales.state(),
                "reward_scale": self.reward_scale.state(),
                "buffer": self.buffer.state(),
                "source": self.source.state(),
                "kl_coef": self.method.kl_coef,
            }

    def load(self, state: dict[str, Any]) -> None:
        """Restores a ``state``."""
        with self.spread_policy.whole(change=True) as policy:
            policy.load_state_dict(state["policy"])
        with self._whole_critic(change=True) as critic:
            if critic is not None:
                critic.load_state_dict(state["critic"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.scales.load(state["scales"])
        self.reward_scale.load(state["reward_scale"])
        self.buffer.load(state["buffer"])
        self.source.load(state["source"])
        self.method = dataclasses.replace(self.method, kl_coef=state["kl_coef"])

    def _whole_critic(self, change: bool = False) -> AbstractContextManager[Any]:
        return nullcontext() if self.spread_critic is None else self.spread_critic.whole(change)
