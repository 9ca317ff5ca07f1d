"""Checks while planning whether a critic can be initialised from the run's reward model."""

from collections.abc import Sequence
from pathlib import Path

from rpo_bench.engine.inputs.base_models import BaseModel
from rpo_bench.engine.inputs.choices import Choice
from rpo_bench.engine.inputs.rewards import PROXY, TRAIN_FLAG, parse_rewards, proxy_folder
from rpo_bench.errors import UserError
from rpo_bench.models.folder import read_json
from rpo_bench.models.hub import model_folder
from rpo_bench.models.reward import LAYOUT_KEY
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.task import Task
from trainers.online import OnlineMethod


def check_critic_start(
    choices: Sequence[Choice], reward: str, task: Task, model: BaseModel, trust: Trust
) -> None:
    """Checks methods with ``critic_init=reward`` against a base model.

    Args:
        choices: The run's methods.
        reward: ``TrainingSpec.reward``; a single reward model if one of these methods is chosen.
        task: The task.
        model: The base model.
        trust: Permissions for loading models.

    Raises:
        UserError: The reward model and the policy use different tokens.
    """
    asking = [c for c in choices if isinstance(c.method, OnlineMethod) and c.method.critic_init == "reward"]
    if not asking:
        return
    (part,) = parse_rewards(reward)
    source = part.source
    named = f"{TRAIN_FLAG} {source}"
    folder = proxy_folder(task) if source == PROXY else model_folder(source.partition(":")[2], named).folder
    why = _unlike(folder, model, trust)
    if why is not None:
        raise UserError(
            f"{asking[0].spec.label}: a critic of {model.name} can't start as {named}, {why}: train a reward "
            f"model from {model.name} with 'rpo-bench reward-model', or leave the option out."
        )


def _unlike(folder: Path, model: BaseModel, trust: Trust) -> str | None:
    """Why a reward model can't initialise a critic; None where it can."""
    from rpo_bench.models.loading import load_tokenizer

    config = read_json(folder / "config.json")
    if model.prompt_format is not None:
        return "which reads prompts without their format"
    if bool(config.get("is_encoder_decoder")) != model.is_encoder_decoder:
        return "which has another architecture"
    if config.get(LAYOUT_KEY) != "appended":
        return "which doesn't read the response directly after the prompt"
    theirs, ours = (load_tokenizer(str(f), trust.trust_remote_code) for f in (folder, model.path))
    return None if theirs.get_vocab() == ours.get_vocab() else "which uses another vocabulary"
