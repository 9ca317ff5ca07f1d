"""The environment of an online method: a cell's tokenised prompts and the reward of responses."""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rpo_bench.data.limits import lowest
from rpo_bench.data.row import Prompt
from rpo_bench.engine.work import CellWork
from rpo_bench.errors import UserError
from rpo_bench.models.hf import HFModel
from rpo_bench.models.reward import CENTRE_KEY, LAYOUT_KEY, RewardModel
from rpo_bench.tasks.task import RewardFunction
from trainers.critic import RewardStart
from trainers.drawing import World
from trainers.inputs import TokenLayout
from trainers.precision import resolve_dtype
from trainers.rollout_backend import RolloutBackend

log = logging.getLogger(__name__)


def make_world(
    model: HFModel,
    prompts: Sequence[Prompt],
    reward: RewardFunction,
    max_new_tokens: int,
    max_length: int | None = None,
) -> World:
    """Makes the environment: prompts that leave room for a response, and the reward on token ids.

    Args:
        model: the base model.
        prompts: to sample responses to.
        reward: scores responses.
        max_new_tokens: the limit on response tokens.
        max_length: of prompt and response together, of an encoder-decoder of the prompt; None: what the
            model has positions for.

    Raises:
        UserError: no prompt leaves room.
    """
    room = 0 if model.is_encoder_decoder else max_new_tokens
    encoded = [(prompt, model.encode(prompt.text)) for prompt in prompts]
    limit = lowest(model.context, max_length)
    fitting = [(p, ids) for p, ids in encoded if limit is None or len(ids) + room <= limit]
    if len(fitting) < len(prompts):
        log.warning(
            "%d of %d prompts leave no room for a response.", len(prompts) - len(fitting), len(prompts)
        )
    if not fitting:
        raise UserError(f"No prompt leaves room for {max_new_tokens} new tokens in the model's context.")

    def score(owners: Sequence[int], responses: Sequence[Sequence[int]]) -> list[float]:
        texts = model.texts(responses)
        answered = [fitting[owner][0] for owner in owners]
        scores = reward(answered, texts)
        for prompt, found in zip(answered, scores, strict=False):
            if found is None:
                raise UserError(f"The reward has no score for a response to the prompt {prompt.prompt_id}.")
        return [float(found) for found in scores if found is not None]

    layout = TokenLayout.of(model.model, model.pad_id, model.tokenizer)
    prompt_ids, start = [ids for _, ids in fitting], _reward_start(model, reward)
    ends = model.end_ids
    eos = ends[0] if len(ends) == 1 else ends
    return World(prompt_ids, score, eos, max_new_tokens, layout, start)


def rollout_backend(
    work: CellWork, world: World, dtype: str, base: HFModel
) -> AbstractContextManager[RolloutBackend | None]:
    """A block with the engine that samples the policy; None: the policy's own passes do."""
    if work.spec.training.rollouts == "hf":
        return nullcontext()
    from rpo_bench.models.backends.vllm_engine import VllmEngine
    from rpo_bench.models.backends.vllm_rollouts import VllmRollouts

    engine = VllmEngine(
        Path(work.spec.model_path),
        "float32" if resolve_dtype(dtype, base.model) == "float32" else "bfloat16",
        work.spec.generation.vllm,
        work.trust.trust_remote_code,
    )
    longest = max(len(prompt) for prompt in world.prompts)
    return VllmRollouts(engine, longest, world.max_new_tokens, base.end_ids)


def _reward_start(model: HFModel, reward: RewardFunction) -> RewardStart | None:
    """The reward model for initialising a critic; None unless it reads the policy's tokens."""
    if model.prompt_format is not None:  # the reward model reads the prompt without it
        return None
    if not isinstance(reward, RewardModel) or getattr(reward.model.config, LAYOUT_KEY, "") != "appended":
        return None
    same_kind = bool(reward.model.config.is_encoder_decoder) == model.is_encoder_decoder
    if not same_kind or reward.tokenizer.get_vocab() != model.tokenizer.get_vocab():
        return None
    return RewardStart(reward.model, float(getattr(reward.model.config, CENTRE_KEY, 0.0)))
