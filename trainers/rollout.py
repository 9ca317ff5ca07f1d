"""The online engine: sample → score → advantage → inner epochs → step."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainers.critic import Critic, values_of
from trainers.drawing import GroupSource, World
from trainers.gradients import GradientScales
from trainers.groups import Group, ReplayBuffer, padded
from trainers.inputs import ModelInputs
from trainers.memory import halving
from trainers.offline import DivergedError
from trainers.on_policy import Mismatch, rescored
from trainers.online import Minibatch, OnlineMethod, Rollouts
from trainers.optimisers import critic_optimiser, parameters_of, policy_optimiser, schedule
from trainers.passes import Passes
from trainers.precision import DType, autocast
from trainers.rates import learning_rates
from trainers.recomputing import recomputed_layers, recomputing
from trainers.reward_scale import RewardScale
from trainers.rollout_log import described
from trainers.settings import TrainingSettings
from trainers.shared_rows import shared_logps_and_entropies, shared_token_logps


class OnlineTrainer:
    """One policy in training. An iteration samples, scores, and climbs the method's surrogate.

    All randomness is drawn from (seed, iteration), so a resumed run needs only the iteration's number.
    """

    def __init__(
        self,
        method: OnlineMethod,
        policy: Any,
        reference: Callable[[ModelInputs], Tensor],
        world: World,
        settings: TrainingSettings,
        dtype: DType,
        critic: Critic | None,
    ) -> None:
        """Takes the policy, and a function that gives the reference's log-probs (B, T) of inputs."""
        self.method = method
        self.policy = policy
        self.reference = reference
        self.world = world
        self.settings = settings
        self.dtype: DType = dtype
        self.critic = critic
        self.device = next(policy.parameters()).device
        self.source = GroupSource(method.draws, policy, world, settings.seed, settings.batch_size, dtype)
        self.buffer = ReplayBuffer(method.replay_groups, method.max_age)
        rate, beside = learning_rates(method, policy, settings)
        self.optimisers = [policy_optimiser(policy, rate, settings)]
        if critic is not None:
            parameters = critic.trained_parameters()
            self.optimisers.append(critic_optimiser(critic, parameters, beside, settings))
        self.scales = GradientScales(settings.clipping, settings.max_grad_norm)
        self.reward_scale = RewardScale(method.reward_scaling, method.reward_clip)
        self.micro_batch = settings.micro_batch_size
        self._recomputed = recomputed_layers(policy, critic)
        self._passes: Passes | None = None
        self._mismatch, self._compares = Mismatch(), False

    # --- one iteration ---

    def iterate(self, iteration: int) -> dict[str, float]:
        """Samples, trains, and returns the log record."""
        started = time.perf_counter()
        self.policy.eval()
        fresh, drawn, entropy = self.source.effective_groups(iteration, self.settings.steps)
        sampled = time.perf_counter()
        self.reward_scale.add([reward for group in drawn for reward in group.rewards])
        self._mismatch = Mismatch()
        self._compares = self.dtype == "float32"  # the first step's pass with the sampled log-probs
        if not self._compares:  # single steps round otherwise than whole passes: one source for both
            fresh = self._rescored(fresh, iteration)
        groups = self.buffer.replace(fresh, iteration) if self.buffer.size else fresh
        self.source.count_used(groups, iteration)
        rollouts = self._assemble(groups, iteration)
        advantages, returns = self._advantages(rollouts)
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
        found = rescored(fresh, self._score(self._policy_logps), self._mismatch)
        if iteration == 0:
            self._mismatch.check(self.dtype)
        return found

    def _compare(self, rollouts: Rollouts, part: Tensor, logps: Tensor) -> None:
        """Records the difference between the sampled log-probs and a pass before the first step."""
        if self._compares:
            fresh = (rollouts.age[part] == 0)[:, None]
            self._mismatch.add(rollouts.behaviour_logps[part], logps, rollouts.mask[part] & fresh)

    def _assemble(self, groups: list[Group], iteration: int) -> Rollouts:
        """The groups as tensors, with current log-probs of policy and reference, and values of the critic."""
        self._passes = self._passes_over(groups)
        mask = self._passes.inputs.response_mask
        behaviour = padded([row for g in groups for row in g.behaviour_logps], mask.shape[1])
        behaviour = behaviour.to(self.device)
        age = torch.tensor([iteration - g.born for g in groups for _ in g.responses])
        reference, proximal, values = self._score(self.reference), behaviour, None
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
        given = self.micro_batch or len(rows)
        logged, fitted = halving(
            given,
            self.method.group_size,
            lambda size: self._accumulate(rollouts, advantages, returns, rows, size),
        )
        if fitted < given:
            self.micro_batch = fitted
        if not math.isfinite(logged["loss"]):
            raise DivergedError(f"the loss became {logged['loss']} in iteration {iteration + 1}")
        if self._compares and iteration == 0:
            self._mismatch.check(self.dtype)
        self._compares = False
        return logged | self._update(iteration)

    def _accumulate(
        self, rollouts: Rollouts, advantages: Tensor, returns: Tensor | None, rows: Tensor, size: int
    ) -> dict[str, float]:
        """The loss of the rollouts at ``rows``; its gradient is added up over passes of ``size`` rows."""
        logged: dict[str, float] = {}
        tokens = int(rollouts.mask[rows].sum())
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        assert self._passes is not None
        passes = dataclasses.replace(self._passes, micro_batch=size)
        seen: list[tuple[Tensor, Tensor]] = []
        for part in passes.parts(rows):
            inputs = passes.select(part)
            with autocast(self.dtype, self.device), recomputing(self._recomputed):
                logps, entropies = self._policy_logps_and_entropies(inputs)
                values = None if self.critic is None else self.critic(inputs)
            seen.append((part, logps.detach()))
            longest = self.world.max_new_tokens
            batch = Minibatch(
                rollouts.take(part),
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
            output.loss.backward()
            for name, number in {"loss": output.loss.detach(), **output.logged}.items():
                logged[name] = logged.get(name, 0.0) + float(number)
        for part, logps in seen:  # only now: memory may run out before, and all is done again
            self._compare(rollouts, part, logps)
        return logged

    def _update(self, iteration: int) -> dict[str, float]:
        """Scales, clips and steps; returns the gradient norms and the share of steps clipped."""
        progress = iteration / self.settings.steps
        warm = min(1.0, (iteration + 1) / max(1, self.settings.warmup_steps))
        policy, *critic = (parameters_of(optimiser) for optimiser in self.optimisers)
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
        micro, minibatches = self.micro_batch, self.method.minibatches
        tokens = self.settings.tokens_per_micro_batch
        passes = Passes.of(groups, self.world.layout, self.device, self.dtype, micro, minibatches, tokens)
        return dataclasses.replace(passes, recomputed=self._recomputed)

    def _score(self, function: Callable[[ModelInputs], Tensor]) -> Tensor:
        """What the function says of an iteration's rows, without gradients; (N, …)."""
        assert self._passes is not None
        found, self._passes = self._passes.fitting(function)
        self.micro_batch = self._passes.micro_batch
        return found

    def _adapt_kl(self, kl: float) -> None:
        """Adaptive KL (arXiv 1909.08593): moves kl_coef towards the target, by at most 2 % an iteration."""
        target = self.method.target_kl
        if target is not None:
            error = min(0.2, max(-0.2, kl / target - 1))
            self.method = dataclasses.replace(self.method, kl_coef=self.method.kl_coef * (1 + 0.1 * error))

    # --- resuming ---

    def state(self) -> dict[str, Any]:
        """Everything that the next iteration depends on, as tensors and plain values."""
        return {
            "policy": self.policy.state_dict(),
            "critic": None if self.critic is None else self.critic.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "scales": self.scales.state(),
            "reward_scale": self.reward_scale.state(),
            "buffer": self.buffer.state(),
            "source": self.source.state(),
            "kl_coef": self.method.kl_coef,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restores a ``state``."""
        self.policy.load_state_dict(state["policy"])
        if self.critic is not None:
            self.critic.load_state_dict(state["critic"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.scales.load(state["scales"])
        self.reward_scale.load(state["reward_scale"])
        self.buffer.load(state["buffer"])
        self.source.load(state["source"])
        self.method = dataclasses.replace(self.method, kl_coef=state["kl_coef"])
