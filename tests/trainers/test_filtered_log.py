"""What the log says of filtered groups: reward and zero variance are of all that was sampled."""

import pytest
from tiny_models import tiny_decoder
from transformers import AutoModelForCausalLM

from trainers import GRPO, TrainingSettings, World, fit_online
from trainers.inputs import TokenLayout
from trainers.training_log import read_training_log

PROMPTS = [[5, 6, 7, 1], [9, 1], [10, 11, 1], [12, 1]]


def always_right_about_two(prompts, responses):
    """1 for prompts 0 and 1 whatever is said; elsewhere under 0.01, another for almost every response."""
    return [
        1.0 if prompt < 2 else sum(response) % 97 / 1e4
        for prompt, response in zip(prompts, responses, strict=True)
    ]


def test_the_groups_that_filtering_throws_away_are_counted(tmp_path):
    """Half of the prompts have no variance, and filling eight groups takes more draws than one."""
    model = AutoModelForCausalLM.from_pretrained(tiny_decoder(tmp_path / "model", scale=2.0))
    world = World(PROMPTS, always_right_about_two, 1, 6, TokenLayout.of(model))
    settings = TrainingSettings(steps=4, batch_size=64, learning_rate=1e-9, warmup_steps=1)
    fit_online(GRPO(filter_groups=True), model, world, settings, tmp_path / "out")
    log = read_training_log(tmp_path / "out" / "train_log.jsonl")[1:]
    assert log[-1]["rollouts"] > 4 * 64
    for entry in log:
        assert entry["without_gradient"] == 0.0
        assert 0.2 < entry["zero_variance"] < 0.9
        assert entry["reward"] == pytest.approx(entry["zero_variance"], abs=0.01)
