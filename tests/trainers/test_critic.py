"""PPO's critic: what it starts as, and that it says V before each token."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import SEED, tiny_decoder, tiny_encoder_decoder
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from trainers import PPO, TrainingSettings, World, fit_online
from trainers.critic import Critic, RewardStart, values_of
from trainers.errors import UserError
from trainers.inputs import TokenLayout, collate

CENTRE = 0.25
PROMPTS = [[5, 6, 7], [9], [10, 11]]
RESPONSES = [[20, 21, 1], [22, 1], [23, 24, 25, 1]]


def classifier(folder: Path) -> Any:
    torch.manual_seed(SEED)
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1).eval()


def test_a_critic_of_a_reward_model_gives_its_scores(tmp_path: Path):
    """V before the k-th response token is the reward model's score so far, less the centre."""
    folder = tiny_decoder(tmp_path, scale=2.0)
    model = classifier(folder)
    critic = Critic.of_reward_model(RewardStart(model, CENTRE))
    policy = AutoModelForCausalLM.from_pretrained(folder)
    found = values_of(critic, collate(PROMPTS, RESPONSES, TokenLayout.of(policy)))
    for row, (prompt, response) in enumerate(zip(PROMPTS, RESPONSES, strict=True)):
        for k in range(len(response)):
            text = torch.tensor([[*prompt, *response[:k]]])
            with torch.no_grad():
                hidden = model.base_model(input_ids=text).last_hidden_state[:, -1]
                score = float(model.score(hidden))
            assert float(found[row, k]) == pytest.approx(score - CENTRE, abs=1e-5)
    assert float(found.abs().max()) > 0.01


def test_a_critic_of_the_reference_says_0_and_one_of_an_encoder_decoder_classifier_too(tmp_path: Path):
    decoder = AutoModelForCausalLM.from_pretrained(tiny_decoder(tmp_path / "d", scale=2.0))
    inputs = collate(PROMPTS, RESPONSES, TokenLayout.of(decoder))
    assert not values_of(Critic(decoder), inputs).any()
    model = classifier(tiny_encoder_decoder(tmp_path / "e"))
    start = RewardStart(model, CENTRE)
    inputs = collate(PROMPTS, RESPONSES, TokenLayout.of(model))
    assert not values_of(Critic.of_reward_model(start), inputs).any()


def world(policy: Any, start: RewardStart | None) -> World:
    return World(
        PROMPTS,
        lambda owners, responses: [float(20 in response) for response in responses],
        eos_id=1,
        max_new_tokens=4,
        layout=TokenLayout.of(policy),
        reward_start=start,
    )


def test_ppo_trains_a_critic_that_started_as_the_reward_model(tmp_path: Path):
    folder = tiny_decoder(tmp_path / "model", scale=2.0)
    settings = TrainingSettings(steps=2, batch_size=8, warmup_steps=0)
    model = classifier(folder)
    before = model.score.weight.clone()
    losses = {}
    for init in ("reference", "reward"):
        policy = AutoModelForCausalLM.from_pretrained(folder)
        method = PPO(critic_init=init)
        result = fit_online(method, policy, world(policy, RewardStart(model)), settings, tmp_path / init)
        assert result.status == "completed"
        losses[init] = (tmp_path / init / "train_log.jsonl").read_text()
    assert losses["reference"] != losses["reward"]
    assert torch.equal(model.score.weight, before)


def test_without_a_reward_model_it_is_refused_in_a_sentence(tmp_path: Path):
    policy = AutoModelForCausalLM.from_pretrained(tiny_decoder(tmp_path / "model"))
    settings = TrainingSettings(steps=1, batch_size=8)
    with pytest.raises(UserError, match="critic_init=reward needs a reward model"):
        fit_online(PPO(critic_init="reward"), policy, world(policy, None), settings, tmp_path / "out")
