"""Reward sources: the task's gold reward, its proxy, a Python function, or a reward model."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpo_bench.data.row import Prompt
from rpo_bench.engine.inputs.choices import Choice, check_rollouts
from rpo_bench.engine.inputs.reward_trial import TRIAL, TRIED, try_reward
from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_file, hash_folder
from rpo_bench.files.plain_data import shown
from rpo_bench.metrics.proxy import Proxy
from rpo_bench.models.hub import model_folder
from rpo_bench.models.reward import RewardModel, check_reward_folder, reward_model
from rpo_bench.models.reward_record import read_reward_record
from rpo_bench.spec.parsing import check_flag
from rpo_bench.spec.schema import CellSpec, RunSpec
from rpo_bench.spec.sections import EvaluationSpec
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.functions import load_function, try_function
from rpo_bench.tasks.task import RewardFunction, Task
from trainers.online import OnlineMethod

GOLD, PROXY = "gold", "proxy"
TRAIN_FLAG, EVAL_FLAG = "--train-reward", "--reward"

# A sum is split only where a reward begins, as paths may contain a plus sign.
_BETWEEN = re.compile(r"\s*\+\s*(?=(?:gold|proxy)(?:\s*[*+]|\s*$)|python:|hf:)")
_WEIGHTED = re.compile(r"(?P<source>.*?)\s*\*\s*(?P<weight>[-+]?[\d.]+(?:e[-+]?\d+)?)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """One reward of a weighted sum."""

    source: str
    weight: float = 1.0


@dataclass(frozen=True)
class WeightedSum:
    """A weighted sum of reward functions; None where one of them returns None."""

    parts: tuple[tuple[RewardFunction, float], ...]

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> list[float | None]:
        """Scores N responses to N prompts."""
        columns = [(function(prompts, responses), weight) for function, weight in self.parts]
        for scores, _ in columns:
            if len(scores) != len(responses):
                raise UserError(
                    f"A reward function returned {len(scores)} scores for {len(responses)} responses."
                )
        return [_sum([(scores[i], weight) for scores, weight in columns]) for i in range(len(responses))]


def _sum(terms: Sequence[tuple[float | None, float]]) -> float | None:
    known = [score * weight for score, weight in terms if score is not None]
    return sum(known) if len(known) == len(terms) else None


def parse_rewards(text: str) -> tuple[Part, ...]:
    """The parts of ``proxy*0.5+python:FILE:FUNCTION*0.5``; raises UserError for anything else."""
    check_flag(text, TRAIN_FLAG)
    parts = []
    for piece in _BETWEEN.split(text.strip()):
        match = _WEIGHTED.fullmatch(piece)
        source, weight = (match["source"], match["weight"]) if match else (piece, "1")
        if source not in (GOLD, PROXY) and not source.startswith(("python:", "hf:")):
            raise UserError(
                f"{TRAIN_FLAG} {text}: '{source}' is not understood; write gold, proxy, "
                "python:FILE:FUNCTION or hf:FOLDER, or a sum such as proxy*0.5+gold*0.5."
            )
        try:
            factor = float(weight)
        except ValueError:
            raise UserError(f"{TRAIN_FLAG} {text}: the weight '{weight}' is not a number.") from None
        if not math.isfinite(factor):
            raise UserError(f"{TRAIN_FLAG} {shown(text)}: the weight {shown(weight)} is not a finite number.")
        parts.append(Part(source, factor))
    return tuple(parts)


def check_source(source: str, flag: str, trust: Trust) -> None:
    """Checks that ``python:FILE:FUNCTION`` or ``hf:FOLDER`` is usable; raises UserError otherwise."""
    kind, _, rest = source.partition(":")
    if kind == "hf" and rest:
        what = f"{flag} {source}"
        check_reward_folder(model_folder(rest, what).folder, what, **vars(trust))
        return
    load_function(*reward_file(source, flag))


def reward_file(source: str, flag: str = EVAL_FLAG) -> tuple[Path, str]:
    """The file and function of ``python:FILE:FUNCTION``; raises UserError for any other form."""
    kind, _, rest = source.partition(":")
    file, _, function = rest.rpartition(":")
    if kind != "python" or not file or not function:
        raise UserError(f"{flag} {source}: write python:FILE:FUNCTION or hf:FOLDER.")
    if not Path(file).is_file():
        raise UserError(f"{flag} {source}: there is no file {file}.")
    return Path(file), function


def source_content(source: str) -> list[str]:
    """The content that identifies ``python:FILE:FUNCTION`` or ``hf:FOLDER``, independent of its path."""
    kind, _, rest = source.partition(":")
    if kind == "hf":
        return [hash_folder(model_folder(rest, source).folder)]
    file, function = reward_file(source)
    return [hash_file(file), function]


def source_function(source: str, flag: str, trust: Trust) -> RewardFunction:
    """The reward function named by ``python:FILE:FUNCTION`` or ``hf:FOLDER``."""
    kind, _, rest = source.partition(":")
    if kind == "hf":
        what = f"{flag} {source}"
        return reward_model(model_folder(rest, what).folder, what=what, **vars(trust))
    function: RewardFunction = load_function(*reward_file(source, flag))
    return function


def evaluation_reward(task: Task, evaluation: EvaluationSpec, trust: Trust) -> RewardFunction | None:
    """The gold reward for measuring checkpoints; None where there is none."""
    if evaluation.reward is None:
        return task.reward
    return source_function(evaluation.reward, EVAL_FLAG, trust)


def training_reward(spec: CellSpec, task: Task, trust: Trust) -> RewardFunction | None:
    """The reward for training an online method; None if it is ``gold`` and the task has none."""
    makers: dict[str, Callable[[], RewardFunction | None]] = {
        GOLD: lambda: evaluation_reward(task, spec.evaluation, trust),
        PROXY: lambda: _loaded_proxy(task, trust),
    }
    found = []
    for part in parse_rewards(spec.training.reward):
        make = makers.get(part.source)
        function = make() if make else source_function(part.source, TRAIN_FLAG, trust)
        if function is None:
            return None
        found.append((function, part.weight))
    return found[0][0] if len(found) == 1 and found[0][1] == 1.0 else WeightedSum(tuple(found))


def training_identity(reward: str, task: Task, task_hash: str) -> Any:
    """The identity of the training reward: contents and weights, independent of paths.

    Args:
        reward: ``TrainingSpec.reward``.
        task: the task.
        task_hash: hash of the task with the gold reward.
    """
    if reward == GOLD:
        return task_hash
    own = {GOLD: lambda: [task_hash], PROXY: lambda: [hash_folder(proxy_folder(task))]}
    parts = parse_rewards(reward)
    return [[part.weight, *own.get(part.source, lambda s=part.source: source_content(s))()] for part in parts]


def check_training_reward(choices: Sequence[Choice], spec: RunSpec, task: Task, trust: Trust) -> list[str]:
    """Checks the training reward of online methods.

    Returns:
        Warnings.

    Raises:
        UserError: a reward is missing or can't be used.
    """
    parts = parse_rewards(spec.training.reward)
    _check_critics(choices, parts)
    for part in parts:
        if part.source == GOLD:
            known = spec.evaluation.reward is not None or task.spec.reward is not None
            check_rollouts(choices, rewarded=known)
        elif part.source == PROXY:
            check_reward_folder(proxy_folder(task), f"{TRAIN_FLAG} {PROXY}", **vars(trust))
        else:
            check_source(part.source, TRAIN_FLAG, trust)
            try_source(part.source, TRAIN_FLAG, trust, task)
    if spec.training.reward != GOLD and not any(c.method.samples_policy for c in choices):
        return [f"{TRAIN_FLAG} has no effect: offline methods learn from the rewards in their data."]
    return []


def _check_critics(choices: Sequence[Choice], parts: Sequence[Part]) -> None:
    """Checks that methods with ``critic_init=reward`` have a single reward model."""
    (first, *others) = parts
    alone = not others and first.weight == 1.0
    if alone and (first.source == PROXY or first.source.startswith("hf:")):
        return
    for choice in choices:
        if isinstance(choice.method, OnlineMethod) and choice.method.critic_init == "reward":
            raise UserError(
                f"{choice.spec.label}: critic_init=reward needs a reward model as the only training reward: "
                f"give {TRAIN_FLAG} {PROXY} or {TRAIN_FLAG} hf:FOLDER, or leave the option out."
            )


def try_source(source: str, flag: str, trust: Trust, task: Task) -> None:
    """Tries a Python function on the task's prompts; raises UserError when it can't score them."""
    if source.startswith("python:"):
        try_call(source, flag, task.heldout[:TRIED])
        try_reward(source_function(source, flag, trust), f"{flag} {source}", task.heldout)


def try_call(source: str, flag: str, prompts: Sequence[Prompt]) -> None:
    """Checks that a Python function returns; raises UserError if it ends the process."""
    if source.startswith("python:"):
        file, function = reward_file(source, flag)
        try_function(file, function, f"{flag} {source}", list(prompts), [TRIAL] * len(prompts))


def try_evaluation_reward(evaluation: EvaluationSpec, task: Task, trust: Trust) -> None:
    """Tries the evaluation reward; the task's own reward only has to return."""
    if evaluation.reward is not None:
        try_source(evaluation.reward, EVAL_FLAG, trust, task)
    elif task.spec.reward is not None:
        file, _, function = task.spec.reward.partition(":")
        prompts = task.heldout[:TRIED]
        what = f"The reward of the task '{task.spec.name}' ({task.spec.reward})"
        try_function(task.folder / file, function, what, prompts, [TRIAL] * len(prompts))


def proxy_folder(task: Task) -> Path:
    """The folder of the task's proxy reward model; raises UserError when it has none."""
    if task.spec.proxy is None:
        raise UserError(
            f"{TRAIN_FLAG} {PROXY}: the task '{task.spec.name}' has no proxy reward model: train one with "
            "'rpo-bench reward-model' and set 'proxy' in task.yaml to its folder, or give hf:FOLDER."
        )
    return task.folder / task.spec.proxy


def check_proxy(task: Task, trust: Trust) -> None:
    """Checks the task's proxy if it has one: every checkpoint is measured by it."""
    if task.spec.proxy is not None:
        check_reward_folder(proxy_folder(task), f"The proxy of the task '{task.spec.name}'", **vars(trust))


def proxy_of(spec: CellSpec, task: Task, trust: Trust) -> Proxy | None:
    """The task's proxy for the metrics; None when it has none.

    It is in units of the gold reward only if that is the task's own reward: its scale was measured on that.
    """
    if task.spec.proxy is None:
        return None
    model = _loaded_proxy(task, trust)
    record = read_reward_record(proxy_folder(task))
    own = spec.evaluation.reward is None and task.spec.reward is not None
    scale = record.scale_for(spec.model, spec.model_hash) if record is not None and own else None
    return Proxy(model, model.name, scale)


def _loaded_proxy(task: Task, trust: Trust) -> RewardModel:
    folder = proxy_folder(task)
    return reward_model(folder, what=f"The proxy of the task '{task.spec.name}'", **vars(trust))
