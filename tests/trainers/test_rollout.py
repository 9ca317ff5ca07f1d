"""The online engine on tiny real models: it learns, it resumes, it says what went wrong."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_decoder, tiny_encoder_decoder
from tiny_training import load, weights
from transformers import Trainer

from trainers import GRPO, P3O, POPO, PPO, RLOO, TrainingSettings, World, fit_online
from trainers.critic import Critic
from trainers.errors import UserError
from trainers.fitting import arguments_of
from trainers.groups import Group, ReplayBuffer
from trainers.inputs import TokenLayout
from trainers.logps import token_logps
from trainers.online import OnlineMethod
from trainers.optimisers import policy_optimiser
from trainers.rollout import OnlineTrainer
from trainers.sampling import sample
from trainers.settings import Lora
from trainers.sharding import Spread
from trainers.training_log import read_training_log

PROMPTS = [[5, 6, 7, 1], [9, 1], [10, 11, 1], [12, 1]]
WANTED = 20
METHODS = [
    PPO(kl_coef=0.01),
    GRPO(kl_coef=0.01),
    GRPO(kl_coef=0.01, filter_groups=True),
    RLOO(kl_coef=0.01),
    P3O(kl_coef=0.01),
    P3O(kl_coef=0.01, form="joint"),
    POPO(kl_coef=0.01, group_size=4),
    GRPO(kl_coef=0.01, entropy_coef=0.01),
    RLOO(kl_coef=0.01, reward_scaling="running", reward_clip=10.0),
]
SETTINGS = TrainingSettings(steps=12, batch_size=32, learning_rate=1e-2, warmup_steps=1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "decoder": tiny_decoder(root / "decoder", scale=2.0),
        "encoder-decoder": tiny_encoder_decoder(root / "encoder-decoder"),
    }


@pytest.fixture(params=["decoder", "encoder-decoder"])
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


def share_of_wanted(prompts: Sequence[int], responses: Sequence[Sequence[int]]) -> list[float]:
    return [sum(token == WANTED for token in response) / len(response) for response in responses]


def world(model: Any, reward: Any = share_of_wanted) -> World:
    return World(PROMPTS, reward, eos_id=1, max_new_tokens=6, layout=TokenLayout.of(model))


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_reward_rises(folder: Path, method: OnlineMethod, tmp_path: Path):
    """From one wanted token in thirty to three of four and more."""
    model = load(folder)
    settings = dataclasses.replace(SETTINGS, steps=25, learning_rate=3e-2)
    result = fit_online(method, model, world(model), settings, tmp_path)
    log = read_training_log(tmp_path / "train_log.jsonl")[1:]
    assert result.status == "completed"
    assert log[0]["kl"] == pytest.approx(0.0, abs=1e-4)
    late = sum(r["reward"] for r in log[-5:]) / 5
    assert late > log[0]["reward"] + 0.3
    assert result.rollouts == log[-1]["rollouts"] >= 25 * 32
    assert 0 < log[-1]["generation_share"] < 1
    assert (tmp_path / "checkpoint" / "model.safetensors").is_file()


class StopError(Exception):
    pass


@pytest.mark.parametrize(
    "method",
    [
        PPO(target_kl=0.1, minibatches=2, inner_epochs=2),
        POPO(group_size=4, entropy_coef=0.1),
        P3O(minibatches=2, inner_epochs=2, reward_scaling="running", reward_clip=2.0),
    ],
    ids=["ppo", "popo", "p3o"],
)
def test_a_run_that_was_interrupted_ends_bitwise_like_one_that_was_not(
    folder: Path, method: OnlineMethod, tmp_path: Path
):
    """Critic, optimisers, adaptive KL, replay buffer, reward scale and generators included."""
    settings = dataclasses.replace(SETTINGS, steps=6, batch_size=16, save_every=2)
    whole = load(folder)
    fit_online(method, whole, world(whole), settings, tmp_path / "whole")

    def stop(step: int, record: dict[str, float]) -> None:
        if step == 5:
            raise StopError

    stopped = load(folder)
    with pytest.raises(StopError):
        fit_online(method, stopped, world(stopped), settings, tmp_path / "stopped", progress=stop)
    resumed = load(folder)
    result = fit_online(method, resumed, world(resumed), settings, tmp_path / "stopped")
    assert torch.equal(weights(resumed), weights(whole))
    assert result.rollouts == 6 * 16
    assert len(read_training_log(tmp_path / "stopped" / "train_log.jsonl")) == 7


@pytest.mark.parametrize("method", [GRPO(), PPO(inner_epochs=2), P3O()], ids=["grpo", "ppo", "p3o"])
def test_micro_batches_change_memory_and_not_the_result(folder: Path, method: OnlineMethod, tmp_path: Path):
    logs = []
    for size in (None, 8):
        model = load(folder)
        settings = dataclasses.replace(SETTINGS, steps=3, micro_batch_size=size)
        fit_online(method, model, world(model), settings, tmp_path / str(size))
        logs.append(read_training_log(tmp_path / str(size) / "train_log.jsonl")[1:])
    for whole, split in zip(*logs, strict=True):
        assert split["loss"] == pytest.approx(whole["loss"], abs=1e-4)
        assert split["grad_norm"] == pytest.approx(whole["grad_norm"], rel=1e-2, abs=1e-4)


def test_adapters_are_trained_against_the_adapter_free_model(folder: Path, tmp_path: Path):
    model = load(folder)
    settings = dataclasses.replace(SETTINGS, lora=Lora(rank=2))
    fit_online(GRPO(group_size=4), model, world(model), settings, tmp_path)
    log = read_training_log(tmp_path / "train_log.jsonl")
    assert log[1]["kl"] == pytest.approx(0.0, abs=1e-4)
    assert log[-1]["kl"] > 1e-3
    assert (tmp_path / "checkpoint" / "adapter_model.safetensors").is_file()


def test_with_a_running_reward_scale_the_rewards_unit_does_not_matter(folder: Path, tmp_path: Path):
    """Rewards of ten times the size, with the KL in them: the same checkpoint, to rounding."""
    found = []
    for factor in (1.0, 10.0):
        model = load(folder)

        def reward(prompts: Any, responses: Any, factor: float = factor) -> list[float]:
            return [factor * score for score in share_of_wanted(prompts, responses)]

        method = P3O(kl_coef=0.1, inner_epochs=2, minibatches=2, reward_scaling="running", reward_clip=10.0)
        settings = dataclasses.replace(SETTINGS, steps=2)
        fit_online(method, model, world(model, reward), settings, tmp_path / str(factor))
        found.append(weights(model))
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


def test_an_entropy_bonus_keeps_the_policy_wide(folder: Path, tmp_path: Path):
    """Ten times the reward's weight: it is as wide after training as before, where GRPO alone narrows."""
    ends = {}
    for coef in (0.0, 10.0):
        model = load(folder)
        settings = dataclasses.replace(SETTINGS, steps=20, learning_rate=3e-2)
        fit_online(GRPO(kl_coef=0.01, entropy_coef=coef), model, world(model), settings, tmp_path / str(coef))
        log = read_training_log(tmp_path / str(coef) / "train_log.jsonl")[1:]
        ends[coef] = log[-1]["entropy"] / log[0]["entropy"]
    assert ends[0.0] < 0.8
    assert ends[10.0] > 0.95


def test_adam_takes_the_decay_it_is_given(folders: dict[str, Path], tmp_path: Path):
    model = load(folders["decoder"])
    settings = dataclasses.replace(SETTINGS, adam_betas=(0.8, 0.95))
    trainer = OnlineTrainer(
        PPO(),
        Spread(model),
        lambda inputs: token_logps(model, inputs),
        world(model),
        settings,
        "float32",
        Spread(Critic(model)),
    )
    assert [optimiser.defaults["betas"] for optimiser in trainer.optimisers] == [(0.8, 0.95)] * 2


def test_weight_decay_spares_what_it_spares_offline(folder: Path, tmp_path: Path):
    """Norms, biases and the critic."""
    model = load(folder)
    settings = dataclasses.replace(SETTINGS, weight_decay=0.1, adam_betas=(0.8, 0.95))
    arguments = arguments_of(settings, 1e-3, tmp_path)
    expected = set(Trainer(model, arguments).get_decay_parameter_names(model))
    assert (arguments.adam_beta1, arguments.adam_beta2) == (0.8, 0.95)
    decayed, spared = policy_optimiser(model, 1e-3, settings).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(parameter)] for parameter in decayed["params"]} == expected & set(names.values())
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    trainer = OnlineTrainer(
        PPO(),
        Spread(model),
        lambda i: token_logps(model, i),
        world(model),
        settings,
        "float32",
        Spread(Critic(model)),
    )
    assert {group["weight_decay"] for group in trainer.optimisers[1].param_groups} == {0.0}


def constant(prompts: Sequence[int], responses: Sequence[Sequence[int]]) -> list[float]:
    return [1.0] * len(responses)


def test_filtering_spends_rollouts_and_replay_does_not(folders: dict[str, Path], tmp_path: Path):
    """All groups degenerate: filtering draws four times; replay has nothing to give; both go on."""
    spent = {}
    for name, method in (("filter", GRPO.filtered()), ("replay", POPO())):
        model = load(folders["decoder"])
        settings = dataclasses.replace(SETTINGS, steps=2)
        result = fit_online(method, model, world(model, constant), settings, tmp_path / name)
        log = read_training_log(tmp_path / name / "train_log.jsonl")
        assert log[1]["zero_variance"] == log[1]["without_gradient"] == 1.0
        spent[name] = result.rollouts
    assert spent == {"filter": 4 * 64, "replay": 64}


def group(reward: float, other: float, born: int) -> Group:
    return Group([5], [[6, 1], [7, 1]], [reward, other], [torch.zeros(2)] * 2, [True, True], born)


def test_the_buffer_gives_the_most_recent_effective_groups_once_and_forgets_the_oldest():
    """Size 2. Degenerate groups take from what earlier iterations left, the newest first."""
    buffer = ReplayBuffer(size=2, max_age=3)
    kept = [group(0, 1, born=i) for i in range(3)]
    assert buffer.replace(kept, 0) == kept  # the fresh ones themselves; the last two are kept
    dull = [group(1, 1, born=1), group(2, 2, born=1), group(3, 3, born=1)]
    assert buffer.replace(dull, 3) == [kept[2], kept[1], dull[2]]
    assert buffer.groups == kept[1:]
    assert buffer.replace(dull[:1], 9) == dull[:1], "too old by now"


def test_fresh_rollouts_keep_the_log_probs_they_were_sampled_with_beside_replayed_ones(folder: Path):
    """A batch with one replayed and one fresh group: only for the former is the proximal policy another."""
    model = load(folder)
    rng = torch.Generator().manual_seed(0)
    said = [[6, 7, 1], [8, 1]]
    logps = [[-torch.rand(len(one), generator=rng) for one in said] for _ in range(2)]
    groups = [
        Group([5, 1], said, [0.0, 1.0], of, [True, True], born)
        for of, born in zip(logps, (0, 3), strict=True)
    ]
    settings = dataclasses.replace(SETTINGS, batch_size=4)

    def reference(inputs: Any) -> torch.Tensor:
        return token_logps(model, inputs)

    trainer = OnlineTrainer(
        POPO(group_size=2), Spread(model), reference, world(model), settings, "float32", None
    )
    rollouts = trainer._assemble(groups, iteration=3)
    replayed, fresh = rollouts.take(torch.tensor([0, 1])), rollouts.take(torch.tensor([2, 3]))
    assert torch.equal(fresh.proximal_logps, fresh.behaviour_logps)
    torch.testing.assert_close(replayed.proximal_logps, replayed.reference_logps)
    assert not torch.allclose(replayed.proximal_logps, replayed.behaviour_logps)


OFFSETS = [GRPO(), GRPO(scale_rewards="batch"), RLOO(), P3O(), POPO(), PPO(lam=1.0)]
APART = torch.tensor([0.1, 0.4, 0.2, 0.9, 0.3, 0.3, 0.3, 0.3], dtype=torch.float64)  # two groups


@pytest.mark.parametrize("method", OFFSETS, ids=["grpo", "grpo-batch", "rloo", "p3o", "popo", "ppo"])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 1e6), (1.0, -1e8), (1e6, 1e9), (1e-2, 1e4)])
def test_an_offset_of_the_rewards_leaves_the_advantages(
    folders: dict[str, Path], method: OnlineMethod, scale: float, shift: float
):
    """From the Python numbers that a reward function gives to what the losses are given, to 1e-6.

    With λ = 1 and V = 0, PPO's whitened advantages are those of the returns, which an offset leaves as well.
    """
    model = load(folders["decoder"])
    method = dataclasses.replace(method, group_size=4, kl_coef=0.0)
    critic = Spread(Critic(model)) if method.uses_critic else None
    settings = dataclasses.replace(SETTINGS, batch_size=8)
    trainer = OnlineTrainer(
        method, Spread(model), lambda i: token_logps(model, i), world(model), settings, "float32", critic
    )
    found = []
    for offset in (0.0, shift):
        rewards = (APART * scale + offset).tolist()
        groups = [
            Group([5, 1], [[6, 1]] * 4, rewards[part], [torch.zeros(2)] * 4, [True] * 4, born=0)
            for part in (slice(4), slice(4, 8))
        ]
        assert [group.degenerate for group in groups] == [False, True]
        found.append(trainer._advantages(trainer._assemble(groups, 0))[0])
    assert found[0].dtype == torch.float32
    assert bool((found[0][[0, 2, 3]] != 0).all())
    torch.testing.assert_close(found[1], found[0], atol=1e-6 * max(1.0, scale), rtol=1e-5)


@pytest.mark.parametrize("lora", [None, Lora(rank=2)], ids=["all", "lora"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "method", [GRPO(group_size=4), RLOO(), POPO(group_size=4)], ids=["grpo", "rloo", "popo"]
)
def test_a_first_step_is_on_policy_in_any_number_format(
    folder: Path, method: OnlineMethod, dtype: str, lora: Lora | None, tmp_path: Path
):
    """No ratio is off 1, no KL comes from rounding, and the difference of sampling is in the log.

    Whole T5 is a case of its own: it trains its position bias, and torch attends by another kernel then.
    """
    model = load(folder)
    settings = dataclasses.replace(SETTINGS, steps=2, dtype=dtype, batch_size=8, lora=lora)
    fit_online(
        dataclasses.replace(method, clip_low=1e-3, clip_high=1e-3), model, world(model), settings, tmp_path
    )
    first, second = read_training_log(tmp_path / "train_log.jsonl")[1:]
    assert first["clip_fraction"] == 0.0
    assert first["kl"] == pytest.approx(0.0, abs=1e-4)
    bound = {"float32": 1e-4, "bfloat16": 0.3}[dtype]
    for record in (first, second):
        assert 0 <= record["logp_mismatch"] <= record["logp_mismatch_max"] < bound


def test_rollouts_of_another_policy_are_found_out_before_the_first_step(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As if sampling and training disagreed on the temperature."""
    model = load(folder)
    monkeypatch.setattr("trainers.drawing.sample", lambda *given: sample(*given[:-1], 3.0))
    with pytest.raises(UserError, match=r"Before the first step .* aren't on-policy"):
        fit_online(RLOO(), model, world(model), SETTINGS, tmp_path)


def raising(prompts: Sequence[int], responses: Sequence[Sequence[int]]) -> list[float]:
    raise ValueError("no such key")


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (raising, "reward function raised ValueError: no such key"),
        (lambda p, r: [0.0], "gave 1 numbers for 32 responses"),
        (lambda p, r: [0.0] * 31 + [float("nan")], "gave nan for response 31"),
    ],
)
def test_a_reward_function_that_fails_is_one_sentence(
    folders: dict[str, Path], tmp_path: Path, reward: Any, message: str
):
    model = load(folders["decoder"])
    with pytest.raises(UserError, match=message):
        fit_online(RLOO(), model, world(model, reward), SETTINGS, tmp_path)


def test_a_batch_smaller_than_a_group_is_refused(folders: dict[str, Path], tmp_path: Path):
    model = load(folders["decoder"])
    with pytest.raises(UserError, match="raise it"):
        fit_online(GRPO(group_size=64), model, world(model), SETTINGS, tmp_path)


@pytest.mark.parametrize(
    "method",
    [GRPO(group_size=4), GRPO(group_size=4, kl="reward"), RLOO(group_size=4), P3O(group_size=4)],
    ids=["grpo", "grpo-reward", "rloo", "p3o"],
)
def test_rounding_is_no_gradient_where_all_rewards_are_equal(
    folder: Path, tmp_path: Path, method: OnlineMethod
):
    """Adam would make a whole step of the difference between two passes over the same weights."""
    model = load(folder)
    before = weights(model)
    settings = dataclasses.replace(SETTINGS, steps=1)
    fit_online(method, model, dataclasses.replace(world(model), reward=constant), settings, tmp_path / "out")
    assert read_training_log(tmp_path / "out" / "train_log.jsonl")[1]["grad_norm"] == 0.0
    assert torch.equal(weights(model), before)
