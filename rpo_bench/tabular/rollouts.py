"""The fixed point of an online method's surrogate for a tabular policy, on its own rollouts.

A response is one action. In every iteration each response is sampled in proportion to its probability, up to
rounding to whole rollouts (systematic sampling). The grouping of rollouts is random.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rpo_bench.errors import UserError, located
from rpo_bench.stats.arrays import Floats
from rpo_bench.tabular.claims import Setting
from rpo_bench.tabular.contract import Contract
from rpo_bench.tabular.fixed_point import FixedPoint
from rpo_bench.tabular.logged import Sampling
from rpo_bench.tabular.truth import Condition, truth_from
from rpo_bench.tabular.verdict import verdict_of
from rpo_bench.tabular.verify import Questions, Verification, own_strengths
from rpo_bench.tabular.world import World, make_world, total_variation
from trainers.online import Minibatch, OnlineMethod, Rollouts
from trainers.reward_scale import RewardScale

ROLLOUTS = 1024  # of each prompt in an iteration, about
STEPS = 1600  # of the optimiser; an iteration takes one for each inner epoch
LEARNING_RATE = 0.1  # at first; it falls to zero by a cosine
_LATE = 0.95  # of the iterations, after which the policy should no longer move
_NO_QUESTIONS = Questions()
_SEEDS = (0, 1)  # two runs, which differ by chance alone


def verify_online(
    label: str,
    method: OnlineMethod,
    questions: Questions = _NO_QUESTIONS,
    progress: Callable[[Condition], None] = lambda condition: None,
) -> Verification:
    """Trains an online method in the table at each strength.

    Args:
        label: its name in the result.
        method: with any strength.
        questions: strengths and seed; the rest applies to logged data.
        progress: called with every condition before it is run.

    Raises:
        UserError: a function of the method fails.
    """
    world = make_world(questions.seed)
    setting = Setting(world, Sampling(method.group_size, 1), world.rewards)
    truths = []
    try:
        for strength in questions.strengths or own_strengths(method):
            condition = Condition("rollouts", strength, method.group_size)
            progress(condition)
            chosen = method.with_strength(strength)
            ends = [online_fixed_point(chosen, world, seed) for seed in _SEEDS]
            truths.append(truth_from(chosen, condition, [setting] * len(ends), ends))
        contract = Contract(None, _split_error(method, world))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"Method '{label}' failed in the table: {located(error)}.") from error
    return Verification(
        method=label,
        strength_name=method.strength_name,
        noise=0.0,
        contract=contract,
        truths=tuple(truths),
        missing={},
        verdicts={"rollouts": verdict_of(truths)},
    )


def online_fixed_point(method: OnlineMethod, world: World, seed: int) -> FixedPoint:
    """Trains from π_ref by Adam in float64 on the policy's own rollouts."""
    table = _Table(method, world, seed)
    late = table.logps()
    loss = float("nan")
    iterations = STEPS // method.inner_epochs
    for iteration in range(iterations):
        loss = table.iterate()
        if not np.isfinite(loss) or not np.isfinite(table.logps()).all():
            return FixedPoint(late, loss, float("nan"))
        if iteration == int(_LATE * iterations):
            late = table.logps()
    return FixedPoint(table.logps(), loss, total_variation(late, table.logps()))


class _Table:
    """A policy, and a critic where there is one, that are tables of numbers."""

    def __init__(self, method: OnlineMethod, world: World, seed: int) -> None:
        self.method, self.world = method, world
        self.rng = np.random.default_rng([seed, 0x0711])
        self.log_reference = torch.tensor(world.log_reference)
        self.logits = self.log_reference.clone().requires_grad_()  # (X, Y)
        self.values = torch.zeros(len(world.rewards), dtype=torch.float64, requires_grad=True)  # (X,)
        self.reward_scale = RewardScale(method.reward_scaling, method.reward_clip)
        self.groups = max(1, ROLLOUTS // method.group_size)  # of each prompt
        self.optimiser = torch.optim.Adam([self.logits, self.values], lr=LEARNING_RATE, betas=(0.9, 0.99))
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, STEPS)

    def logps(self) -> Floats:
        """log π_θ; (X, Y)."""
        return np.asarray(torch.log_softmax(self.logits.detach(), dim=1))

    def iterate(self) -> float:
        """Samples, then takes the inner steps; the last loss."""
        xs, ys = self.sample()
        rollouts = self.rollouts(xs, ys)
        advantages, returns = self.method.advantages(rollouts)
        loss = float("nan")
        for _ in range(self.method.inner_epochs):
            self.optimiser.zero_grad()
            total = self.loss(rollouts, advantages, returns, xs, ys)
            total.backward()
            loss = float(total.detach())
            self.optimiser.step()
            self.schedule.step()
        return loss

    def sample(self) -> tuple[Tensor, Tensor]:
        """Prompts and responses of all rollouts, group by group; both (B,)."""
        count = self.groups * self.method.group_size
        probabilities = np.exp(self.logps())
        ys = []
        for row in probabilities:
            ends = np.cumsum(row)
            points = (np.arange(count) + self.rng.random()) / count
            drawn = np.searchsorted(ends / ends[-1], points, side="right")
            ys.append(self.rng.permutation(np.minimum(drawn, len(row) - 1)))
        xs = np.repeat(np.arange(len(probabilities)), count)
        return torch.as_tensor(xs), torch.as_tensor(np.concatenate(ys))

    def rollouts(self, xs: Tensor, ys: Tensor) -> Rollouts:
        """What was sampled, one token each; (B, 1)."""
        logps = torch.log_softmax(self.logits.detach(), dim=1)[xs, ys][:, None]
        count = len(xs)
        rewards = torch.tensor(self.world.rewards)[xs, ys]
        self.reward_scale.add(rewards.tolist())
        return Rollouts(
            rewards=self.reward_scale.apply(rewards),
            groups=torch.arange(count) // self.method.group_size,
            mask=torch.ones(count, 1, dtype=torch.bool),
            behaviour_logps=logps,
            proximal_logps=logps,
            reference_logps=self.log_reference[xs, ys][:, None],
            finished=torch.ones(count, dtype=torch.bool),
            age=torch.zeros(count, dtype=torch.long),
            values=self.values.detach()[xs][:, None] if self.method.uses_critic else None,
        )

    def loss(
        self, rollouts: Rollouts, advantages: Tensor, returns: Tensor | None, xs: Tensor, ys: Tensor
    ) -> Tensor:
        """The method's surrogate of all rollouts under the policy as it is now; ()."""
        return self.method.surrogate(self.minibatch(rollouts, advantages, returns, xs, ys)).loss

    def minibatch(
        self, rollouts: Rollouts, advantages: Tensor, returns: Tensor | None, xs: Tensor, ys: Tensor
    ) -> Minibatch:
        """All rollouts with the current values of the tables."""
        table = torch.log_softmax(self.logits, dim=1)
        logps = table[xs, ys][:, None]
        values = self.values[xs][:, None] if self.method.uses_critic else None
        entropies = -(table.exp() * table).sum(dim=1)[xs][:, None] if self.method.uses_entropy else None
        tokens = int(rollouts.mask.sum())
        return Minibatch(rollouts, advantages, returns, logps, values, len(xs), tokens, 1, entropies)


@torch.no_grad()
def _split_error(method: OnlineMethod, world: World) -> float:
    """Relative difference between the surrogate's loss and the sum over two parts of the batch."""
    table = _Table(method, world, seed=0)
    xs, ys = table.sample()
    rollouts = table.rollouts(xs, ys)
    advantages, returns = method.advantages(rollouts)
    bump = torch.randn(world.rewards.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    table.logits = table.logits + 0.1 * bump
    whole = table.minibatch(rollouts, advantages, returns, xs, ys)
    cut = method.group_size * (table.groups // 3)
    parts = [_take(whole, rows) for rows in (torch.arange(cut), torch.arange(cut, len(xs)))]
    total, split = (float(sum(method.surrogate(m).loss for m in ms)) for ms in ([whole], parts))
    return abs(split - total) / max(abs(total), 1e-12)


def _take(batch: Minibatch, rows: Tensor) -> Minibatch:
    """Some rows of a minibatch, with the totals of the whole."""
    return dataclasses.replace(
        batch,
        rollouts=batch.rollouts.take(rows),
        advantages=batch.advantages[rows],
        returns=None if batch.returns is None else batch.returns[rows],
        logps=batch.logps[rows],
        values=None if batch.values is None else batch.values[rows],
        entropies=None if batch.entropies is None else batch.entropies[rows],
    )
