"""Rollouts by another engine: the policy of now, importance weights by hand, and a check of whose samples."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_decoder
from tiny_training import load, weights

from trainers import GRPO, P3O, POPO, PPO, RLOO, RPO, TrainingSettings, World, fit_online
from trainers.errors import UserError
from trainers.fitting_rounds import fit_rounds
from trainers.groups import Group
from trainers.inputs import TokenLayout
from trainers.on_policy import Mismatch, rescored
from trainers.online import OnlineMethod
from trainers.rollout_backend import WEIGHT_CAP, sampled_entropy
from trainers.sampling import Sampled, sample
from trainers.training_log import read_training_log

PROMPTS = [[5, 6, 7], [8], [9, 10], [11]]
SETTINGS = TrainingSettings(steps=3, batch_size=16, learning_rate=1e-2, warmup_steps=1)


class OtherEngine:
    """The policy's own sampling behind the protocol, with log-probs that are off by a little."""

    def __init__(self, layout: TokenLayout, off: float = 0.0) -> None:
        self.layout, self.off = layout, off
        self.policy: Any = None
        self.loads, self.rests = 0, 0

    def load(self, policy: Any) -> None:
        self.policy = policy
        self.loads += 1

    def sample(
        self, prompts: Sequence[Sequence[int]], count: int, seeds: Sequence[int], temperature: float
    ) -> Sampled:
        rows = [torch.rand(6, generator=torch.Generator().manual_seed(seed)).double() for seed in seeds]
        found = sample(self.policy, prompts, count, self.layout, 1, torch.stack(rows), temperature)
        return dataclasses.replace(found, logps=[row - self.off for row in found.logps])

    def rest(self) -> None:
        self.rests += 1


def distinct(_: Sequence[int], responses: Sequence[Sequence[int]]) -> list[float]:
    return [len(set(one)) + one[0] / 50 for one in responses]


def trained(folder: Path, out: Path, method: OnlineMethod, off: float) -> tuple[Any, OtherEngine]:
    model = load(folder)
    world = World(PROMPTS, distinct, 1, 6, TokenLayout.of(model))
    engine = OtherEngine(world.layout, off)
    fit_online(method, model, world, SETTINGS, out, backend=engine)
    return model, engine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_decoder(tmp_path_factory.mktemp("models") / "decoder", scale=5.0)


@pytest.mark.parametrize(
    "method",
    [GRPO(group_size=4), RLOO(group_size=4), P3O(group_size=4), PPO(group_size=4), POPO(group_size=4)],
)
def test_every_iteration_samples_the_policy_of_now(folder: Path, tmp_path: Path, method: OnlineMethod):
    model, engine = trained(folder, tmp_path, method, off=0.0)
    assert (engine.loads, engine.rests) == (3, 3)
    assert not torch.equal(weights(model), weights(load(folder)))
    for row in read_training_log(tmp_path / "train_log.jsonl")[1:]:
        assert row["logp_mismatch_max"] < 1e-5
        assert 0 < row["entropy"] < math.log(40)


def test_weights_of_a_sampler_that_is_too_sure_scale_every_advantage(folder: Path, tmp_path: Path):
    """It claims e^0.1 more probability than training finds, for every token."""
    for off in (0.0, -0.1):
        trained(folder, tmp_path / str(off), GRPO(group_size=4, kl_coef=0.0), off)
    logs = [read_training_log(tmp_path / str(off) / "train_log.jsonl")[1] for off in (0.0, -0.1)]
    assert logs[1]["grad_norm"] / logs[0]["grad_norm"] == pytest.approx(math.exp(-0.1), rel=1e-3)
    assert logs[1]["logp_mismatch"] == pytest.approx(0.1, abs=1e-4)


def test_an_engine_with_another_policy_is_refused(folder: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"the engine that samples and training differ by 1 nats per token"):
        trained(folder, tmp_path, GRPO(group_size=4), off=1.0)


LOGS = torch.tensor([[0.1, -0.2, 0.0], [1.0, 0.5, 0.3], [0.0, 0.0, 0.0], [-0.4, 0.1, 0.0]])
MASK = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 1, 0]], dtype=torch.bool)


def test_weights_are_per_token_per_sequence_or_per_pair_and_truncated():
    per_token = GRPO().sampler_weights(LOGS, MASK)
    assert per_token[0].tolist() == pytest.approx([math.exp(0.1), math.exp(-0.2), 1.0])
    assert per_token[1, 0] == WEIGHT_CAP  # e^1 is more
    assert RLOO().sampler_weights(LOGS, MASK)[:, 0].tolist() == pytest.approx(
        [math.exp(-0.1), WEIGHT_CAP, 1.0, math.exp(-0.3)]
    )
    assert P3O().sampler_weights(LOGS, MASK)[:, 2].tolist() == pytest.approx(
        [WEIGHT_CAP, WEIGHT_CAP, math.exp(-0.3), math.exp(-0.3)]
    )


def test_groups_keep_both_log_probs():
    group = Group(
        [5], [[6, 1], [7]], [0.0, 1.0], [torch.tensor([-1.0, -2.0]), torch.tensor([-3.0])], [True] * 2, 0
    )
    whole = torch.tensor([[-1.5, -1.0], [-3.0, 0.0]])
    (found,) = rescored([group], whole, Mismatch(), weighted=True)
    assert [row.tolist() for row in found.behaviour_logps] == [[-1.5, -1.0], [-3.0]]
    assert found.log_weights is not None
    assert [row.tolist() for row in found.log_weights] == [[-0.5, 1.0], [0.0]]
    assert rescored([group], whole, Mismatch())[0].log_weights is None


def test_the_entropy_is_the_mean_surprise():
    assert sampled_entropy([torch.tensor([-1.0, -2.0]), torch.tensor([-3.0])]) == pytest.approx(2.0)


def test_offline_methods_in_rounds_sample_by_it(folder: Path, tmp_path: Path):
    model = load(folder)
    world = World(PROMPTS, distinct, 1, 6, TokenLayout.of(model))
    engine = OtherEngine(world.layout)
    fit_rounds(RPO(rounds=3, samples=4), model, world, SETTINGS, tmp_path, backend=engine)
    assert engine.loads == 3


def test_rounds_record_the_engines_log_probs_as_those_of_who_wrote_the_rows(folder: Path, tmp_path: Path):
    model = load(folder)
    world = World(PROMPTS, distinct, 1, 6, TokenLayout.of(model))
    engine = OtherEngine(world.layout, off=0.05)
    fit_rounds(RPO(rounds=3, samples=4), model, world, SETTINGS, tmp_path, backend=engine)
    rows = read_training_log(tmp_path / "train_log.jsonl")[1:]
    assert [row["logp_mismatch"] for row in rows] == pytest.approx([0.05] * 3, abs=1e-4)


def test_rounds_refuse_an_engine_with_another_policy(folder: Path, tmp_path: Path):
    model = load(folder)
    world = World(PROMPTS, distinct, 1, 6, TokenLayout.of(model))
    with pytest.raises(UserError, match=r"the engine that samples and training differ by 1 nats per token"):
        fit_rounds(
            RPO(rounds=3, samples=4), model, world, SETTINGS, tmp_path, backend=OtherEngine(world.layout, 1.0)
        )
