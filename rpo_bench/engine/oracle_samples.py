"""Reference rewards for the oracle: the task's own, stored ones, or new samples of the reference policy."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rpo_bench.engine.inputs.base_models import BaseModel, find_model
from rpo_bench.engine.inputs.dataset import task_identity
from rpo_bench.engine.inputs.rewards import evaluation_reward
from rpo_bench.engine.plan.plan import own_models
from rpo_bench.engine.stages.generate import stored_sample
from rpo_bench.errors import UserError
from rpo_bench.metrics.protocol import Unscored
from rpo_bench.metrics.reward import Reward
from rpo_bench.models.protocol import Generation, Model
from rpo_bench.results.samples import StoredSample
from rpo_bench.spec.sections import Decoding, EvaluationSpec
from rpo_bench.spec.trust import Trust
from rpo_bench.stats.arrays import Floats
from rpo_bench.tasks.oracle_files import (
    oracle_file,
    oracle_identity,
    read_rewards,
    task_rewards,
    write_rewards,
)
from rpo_bench.tasks.task import Task

#: The fewest samples per prompt to draw for an oracle.
FEWEST = 32
_BATCH = 256
_ROUND = 64  # samples per prompt in one batch of generation


@dataclass(frozen=True)
class OracleRequest:
    """A request for reference rewards.

    Attributes:
        model: One of the task's models by name, or a folder.
        results: The results folder in which they are stored.
        samples: Samples per prompt; None: use existing ones.
        reward: As ``--reward``; None: the task's own.
        seed: Seed of the sampling.
        trust: Permissions for loading the model.
    """

    model: str
    results: Path
    samples: int | None
    reward: str | None
    seed: int
    trust: Trust


@dataclass(frozen=True)
class ReferenceRewards:
    """Rewards (P, N) with the prompts' identities and their source."""

    rewards: Floats
    prompts: tuple[str, ...]
    model: str
    source: str


def reference_rewards(
    task: Task, request: OracleRequest, progress: Callable[[int, int], None] | None = None
) -> ReferenceRewards:
    """Returns the task's reference rewards, stored ones, or newly sampled ones.

    New samples are drawn and stored if there are none, or fewer than requested.

    Args:
        task: The task.
        request: The request.
        progress: Called with (samples done, samples in all) per prompt.

    Raises:
        UserError: There are none and none were requested, or sampling failed.
    """
    evaluation = EvaluationSpec(reward=request.reward)
    model = find_model(request.model, own_models(task), request.trust, None)
    if request.reward is None and model.name in task.spec.reference_samples:
        rewards, prompts = task_rewards(task, model.name)
        if request.samples is None or request.samples <= rewards.shape[1]:
            return _first(rewards, prompts, model.name, "the task's reference samples", request.samples)
    identity = oracle_identity(task_identity(task, evaluation), model.hash)
    file = oracle_file(request.results, task.spec.name, model.name, identity)
    if file.is_file():
        rewards, prompts = read_rewards(file, str(file))
        if request.samples is None or request.samples <= rewards.shape[1]:
            return _first(rewards, prompts, model.name, f"stored in {file}", request.samples)
    if request.samples is None:
        raise UserError(
            f"The task '{task.spec.name}' has no reference samples for '{model.name}': set --samples to "
            "the number to draw for each prompt (1024 is good; 256 is enough)."
        )
    if request.samples < FEWEST:
        raise UserError(f"--samples {request.samples}: an oracle needs at least {FEWEST} per prompt.")
    rewards = _draw(task, model, evaluation, request, progress)
    prompts = tuple(prompt.prompt_id for prompt in task.heldout)
    write_rewards(file, rewards, prompts)
    return ReferenceRewards(rewards, prompts, model.name, f"sampled, and stored in {file}")


def _first(
    rewards: Floats, prompts: tuple[str, ...], model: str, source: str, samples: int | None
) -> ReferenceRewards:
    return ReferenceRewards(rewards[:, :samples], prompts, model, source)


def _draw(
    task: Task,
    model: BaseModel,
    evaluation: EvaluationSpec,
    request: OracleRequest,
    progress: Callable[[int, int], None] | None,
) -> Floats:
    """Samples the reference policy ancestrally and scores the samples; (P, N)."""
    function = evaluation_reward(task, evaluation, request.trust)
    if function is None:
        raise UserError(f"The task '{task.spec.name}' has no reward: name one with --reward.")
    from rpo_bench.models.hf import HFModel

    trust = request.trust
    policy = HFModel.load(
        model.path, allow_pickle=trust.allow_pickle, trust_remote_code=trust.trust_remote_code
    )
    metric = Reward(function)
    total = request.samples or 0
    columns = []
    for done in range(0, total, _ROUND):
        count = min(_ROUND, total - done)
        columns.append(_round(task, policy, metric, count, [request.seed, done]))
        if progress is not None:
            progress(done + count, total)
    return np.concatenate(columns, axis=1)


def _round(task: Task, policy: Model, metric: Reward, count: int, seed: list[int]) -> Floats:
    decoding = Decoding(max_new_tokens=task.spec.max_new_tokens)
    own = int(np.random.default_rng(seed).integers(2**31))  # far from the seeds that evaluations use
    drawn = policy.generate(task.heldout, count, decoding, own, _BATCH)
    prompts = [prompt for prompt in task.heldout for _ in range(count)]
    scores = metric.score(prompts, [_stored(one) for one in drawn])
    for prompt, score in zip(prompts, scores, strict=True):
        if isinstance(score, Unscored):
            raise UserError(
                f"A sample of prompt '{prompt.prompt_id}' has no reward ({score.reason}): the oracle needs "
                "a reward for every sample."
            )
    return np.array(scores, dtype=np.float64).reshape(len(task.heldout), count)


def _stored(generation: Generation) -> StoredSample:
    return stored_sample(generation)
