"""Rows of the policy's own responses for an offline method: sampled, scored and prepared round by round.

The target is the optimum π* ∝ π_ref e^{r/τ}, in every round. Against the initial reference the rows need no
correction, but estimates of log Z from them do: weights π_ref/π_t, as the policy π_t wrote them. Against the
previous policy π_t as the reference, π* ∝ π_t e^{r̃/τ} with r̃ = r − τ log(π_t/π_ref): the reward is corrected
by what the policy has moved already, and the rows are samples of their own reference.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.drawing import Draws, GroupSource
from trainers.errors import NothingToLearnError
from trainers.examples import Examples
from trainers.groups import Group
from trainers.objective import Need, OfflineMethod
from trainers.on_policy import check_engine
from trainers.prepare import OfflineData, check_needs, prepare_rows, with_plan
from trainers.ranks import ALONE, Ranks
from trainers.reference import ReferenceCache
from trainers.round_checks import own_samples
from trainers.round_rows import effective_share, joined, logged_groups, rows_of, with_reference_rewards
from trainers.settings import TrainingSettings

#: Log-probabilities (N,) of rows under the policy or the reference, as they are now.
Scorer = Callable[[Sequence[Sequence[int]], Sequence[Sequence[int]]], NDArray[np.float64]]
Labeller = Callable[[Examples], Examples]

_NEXT_SEED = 1_000_003  # between the batch plans of two rounds


def in_rounds(method: OfflineMethod) -> OfflineMethod:
    """The method as it learns from rows that its reference didn't write: Z is estimated with weights."""
    if getattr(method, "partition", None) == "log_mean_exp" and not own_samples(method):
        return dataclasses.replace(method, partition="self_normalised")  # type: ignore[call-arg]
    return method


@dataclass(frozen=True)
class Round:
    """The rows of a round, as they are saved to resume in it.

    Attributes:
        index: counted from 0.
        examples: with corrected rewards, not yet scaled.
        reference_logps: of the round's reference; (N,).
        rollouts: how many of the rows were sampled.
        effective: mean over prompts of the effective share of its samples, under weights π_ref/π_t.
        mismatch: of the log-probs of another engine, which sampled them; None: the policy's own passes did.
    """

    index: int
    examples: Examples
    reference_logps: NDArray[np.float64]
    rollouts: int
    effective: float
    mismatch: float | None = None


class RoundSource:
    """Makes the rounds of a training: samples the policy, and prepares the rows for the method.

    Attributes:
        source: of sampled groups.
        scale: mean and deviation of the first round's rewards, by which all rounds are z-scored.
    """

    def __init__(
        self,
        method: OfflineMethod,
        source: GroupSource,
        settings: TrainingSettings,
        policy: Scorer,
        reference: Scorer,
        *,
        logged: Examples | None = None,
        labelled: Labeller = lambda examples: examples,
    ) -> None:
        """Takes the method and where its numbers come from.

        Args:
            method: the method.
            source: samples groups of the current policy.
            settings: of the whole training.
            policy: scores rows under the current policy.
            reference: scores rows under the initial one.
            logged: logged rows, for the rest of a mixture and for rewards of reference samples.
            labelled: labels rows desirable or not by the method's rule.
        """
        self.method = in_rounds(method)
        self.source = source
        self.settings = settings
        self.scale: tuple[float, float] | None = None
        self._policy = policy
        self._reference = reference
        self._logged = logged
        self._labelled = labelled

    def round_of(self, step: int) -> int:
        """The round of a step."""
        return step * self.method.rounds // self.settings.steps

    def first_step(self, index: int) -> int:
        """The first step of a round."""
        return -(-index * self.settings.steps // self.method.rounds)

    def sample(self, index: int) -> Round:
        """Samples a round of the policy as it is now."""
        steps = range(self.first_step(index), self.first_step(index + 1))
        groups = self._groups(steps)
        fresh = rows_of(groups)
        rows = self._mixed(fresh, index, steps)
        own = slice(len(fresh))
        written = self._policy(rows.prompts, rows.responses)
        reference = self._reference(rows.prompts, rows.responses)
        sampled, mismatch = self._sampled_by(groups, written[own], index)
        rows = dataclasses.replace(rows, behaviour_logps=_behaviour(rows, sampled))
        if self.scale is None:
            self.scale = _scale(rows.rewards)
        effective = effective_share((reference - written)[own], rows.groups[own])
        if self.method.reference == "previous":
            sd = self.scale[1] if self.method.zscore_rewards else 1.0
            moved = self.method.strength * sd * (written - reference)
            rows, reference = dataclasses.replace(rows, rewards=rows.rewards - moved), written
        return Round(index, rows, reference, len(fresh), effective, mismatch)

    def _sampled_by(
        self, groups: Sequence[Group], written: NDArray[np.float64], index: int
    ) -> tuple[NDArray[np.float64], float | None]:
        """Log-probs of fresh rows under what sampled them, (n,), and another engine's mismatch.

        Raises:
            UserError: before the first step another engine samples another policy.
        """
        if self.source.backend is None:
            return written, None
        rows = [row for group in groups for row in group.behaviour_logps]
        sampled = np.array([float(row.double().sum()) for row in rows])
        mismatch = float(np.abs(written - sampled).sum() / sum(map(len, rows)))
        if index == 0:
            check_engine(mismatch)
        return sampled, mismatch

    def _groups(self, steps: range) -> list[Group]:
        """As many rollouts as an online method would sample in these steps."""
        found: list[Group] = []
        for step in steps:
            groups, _, _ = self.source.effective_groups(step, self.settings.steps)
            self.source.count_used(groups, step)
            found += groups
        return found

    def data(
        self, of: Round, reference: Any, layout: Any, dtype: Any, ranks: Ranks = ALONE
    ) -> OfflineData | None:
        """A round prepared for the method; None if its rows teach it nothing (no pair, for example).

        Args:
            of: the round.
            reference: the initial model, for the log-probs of mismatched pairs.
            layout: padding and decoder start.
            dtype: of the forward passes.
            ranks: the processes that share the work.
        """
        examples = self._labelled(of.examples)
        check_needs(self.method, examples)
        try:
            rows = prepare_rows(self.method, examples, of.reference_logps, self.scale)
        except NothingToLearnError:
            return None
        if len(rows.units) < 2 and Need.KL_PARTNER in self.method.needs:
            return None  # a row alone has no other's response
        steps = self.first_step(of.index + 1) - self.first_step(of.index)
        seed = self.settings.seed + _NEXT_SEED * of.index
        settings = dataclasses.replace(self.settings, steps=steps, seed=seed)
        return with_plan(self.method, rows, reference, settings, ReferenceCache(ranks=ranks), layout, dtype)

    def _mixed(self, fresh: Examples, index: int, steps: range) -> Examples:
        """The fresh rows with logged ones, whole prompts at a time."""
        if self._logged is None:
            return fresh
        rows = fresh
        if self.method.fresh < 1:
            missing = len(steps) * self.settings.batch_size - len(fresh)
            rng = np.random.default_rng([self.settings.seed, index, 0x0444])
            rows = joined(fresh, logged_groups(self._logged, missing, rng))
        return with_reference_rewards(rows, self._logged)


def draws_of(method: OfflineMethod) -> Draws:
    """How a method in rounds draws its groups."""
    return Draws(method.samples, method.prompts, method.prompts == "filtered")


def _behaviour(rows: Examples, fresh: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Log-probs under whoever wrote each row; None where logged rows don't say.

    Args:
        rows: the sampled rows, then logged ones.
        fresh: log-probs of the sampled ones under the policy.
    """
    logged = np.full(len(rows), np.nan) if rows.behaviour_logps is None else rows.behaviour_logps
    found = np.concatenate([fresh, logged[len(fresh) :]])
    return None if np.isnan(found).any() else found


def _scale(rewards: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and deviation, 1 where all are equal: the first responses may all be wrong."""
    sd = float(rewards.std()) if rewards.min() < rewards.max() else 1.0
    return float(rewards.mean()), sd
