"""Which prompts are sampled: uniformly, easy ones first, or those that teach most; exact resume, counted."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_models import tiny_decoder
from tiny_training import load, weights

from trainers import GRPO, TrainingSettings, World, fit_online
from trainers.inputs import TokenLayout
from trainers.prompt_choice import Adaptive, Curriculum, PromptChoice, Uniform, prompt_choice
from trainers.training_log import read_training_log

PROMPTS = [[5, 6, 7, 1], [9, 1], [10, 11, 1], [12, 1], [13, 1], [14, 6, 1]]


def shares(choice: PromptChoice, count: int, progress: float = 0.0, draws: int = 400) -> np.ndarray:
    """How often each prompt is among the ``count`` chosen; (P,)."""
    rng = np.random.default_rng(0)
    found = np.zeros(choice.prompts)
    for _ in range(draws):
        chosen = choice.choose(rng, count, progress)
        assert len(chosen) == len(set(chosen)) == count
        found[chosen] += 1
    return found / draws


def test_uniform_prompts_are_drawn_as_before():
    """The numbers of version 0.1, from the same generator."""
    rngs = [np.random.default_rng([3, 1, 0, 0x0111]) for _ in range(2)]
    assert Uniform(50).choose(rngs[0], 8, 0.3) == rngs[1].choice(50, size=8, replace=False).tolist()
    assert Uniform(3).choose(rngs[0], 8, 0.3) == rngs[1].integers(3, size=8).tolist()


def test_a_curriculum_begins_with_the_easiest_quarter_and_has_all_from_the_middle_on():
    choice = Curriculum(8)
    for prompt, mean in enumerate([0.1, 0.9, 0.5, 0.0, 0.8, 0.3, 0.2, 0.4]):
        choice.observe(prompt, [mean, mean])
    assert np.flatnonzero(shares(choice, 2)).tolist() == [1, 4]
    assert np.flatnonzero(shares(choice, 2, progress=0.25)).tolist() == [1, 2, 4, 5, 7]  # 5 of 8
    assert shares(choice, 2, progress=0.5) == pytest.approx(0.25, abs=0.08)


def test_a_curriculum_keeps_what_it_measured_first():
    choice = Curriculum(2)
    choice.observe(0, [0.0])
    choice.observe(1, [0.5])
    choice.observe(0, [1.0])
    assert choice.choose(np.random.default_rng(0), 1, 0.0) == [1]


def test_adaptive_prompts_are_those_that_succeed_half_of_the_time():
    """Always, never, half: the third is taken most; what was never tried is tried too."""
    choice = Adaptive(4)
    for prompt, rewards in enumerate(([1.0] * 16, [0.0] * 16, [0.0, 1.0] * 8)):
        choice.observe(prompt, rewards)
    found = shares(choice, 1)
    assert found[2] > 0.5
    assert found[3] > found[0] + found[1]


def test_with_other_rewards_they_are_those_whose_rewards_vary_most():
    choice = Adaptive(3)
    for prompt, spread in enumerate((0.0, 1.0, 3.0)):
        choice.observe(prompt, (7.0 + spread * np.linspace(-1, 1, 64)).tolist())
    assert shares(choice, 1)[2] > 0.9
    one, other = shares(choice, 2)[:2]
    assert other > one + 0.1


def test_where_no_reward_varies_chance_decides():
    """Groups of one, or all rewards −1: nothing tells prompts apart."""
    choice = Adaptive(8)
    for prompt in range(8):
        choice.observe(prompt, [-1.0])
    assert shares(choice, 2) == pytest.approx(0.25, abs=0.08)


def test_before_anything_is_known_adaptive_prompts_are_uniform():
    assert shares(Adaptive(4), 2) == pytest.approx(0.5, abs=0.08)


def test_old_evidence_fades():
    """A prompt that failed, and has succeeded half of the time since, is taken again."""
    choice = Adaptive(2)
    choice.observe(0, [0.0] * 16)
    choice.observe(1, [0.0] * 16)
    for _ in range(4):
        choice.observe(0, [0.0, 1.0] * 8)
    assert shares(choice, 1)[0] > 0.9


@pytest.mark.parametrize("how", ["uniform", "curriculum", "adaptive"])
def test_the_state_restores_the_choice(how):
    rng = np.random.default_rng(1)
    one, other = prompt_choice(how, 6), prompt_choice(how, 6)
    for prompt in range(6):
        one.observe(prompt, rng.random(4).tolist())
    other.load(one.state())
    assert [one.choose(np.random.default_rng(2), 3, 0.1)] == [other.choose(np.random.default_rng(2), 3, 0.1)]


class StopError(Exception):
    pass


def even_tokens(prompts, responses):
    """1 if most tokens of the response are even; harder the later the prompt, whose number is added."""
    return [
        float(sum((t + p) % 2 == 0 for t in response) * 2 > len(response) + p)
        for p, response in zip(prompts, responses, strict=True)
    ]


@pytest.mark.parametrize("how", ["curriculum", "adaptive"])
def test_a_run_that_was_interrupted_ends_bitwise_like_one_that_was_not(how, tmp_path):
    folder = tiny_decoder(tmp_path / "decoder", scale=2.0)
    settings = TrainingSettings(steps=4, batch_size=8, learning_rate=1e-2, warmup_steps=1, save_every=2)
    method = GRPO(group_size=4, prompts=how)

    def world(model):
        return World(PROMPTS, even_tokens, eos_id=1, max_new_tokens=6, layout=TokenLayout.of(model))

    def stop(step, record):
        if step == 3:
            raise StopError

    whole, stopped, resumed = (load(folder) for _ in range(3))
    result = fit_online(method, whole, world(whole), settings, tmp_path / "whole")
    with pytest.raises(StopError):
        fit_online(method, stopped, world(stopped), settings, tmp_path / "stopped", progress=stop)
    fit_online(method, resumed, world(resumed), settings, tmp_path / "stopped")
    assert torch.equal(weights(resumed), weights(whole))
    measured = 4 * len(PROMPTS) if how == "curriculum" else 0
    assert result.rollouts == 4 * 8 + measured, "what is measured before training counts"
    log = read_training_log(tmp_path / "whole" / "train_log.jsonl")
    assert log[1]["rollouts"] == 8 + measured


def test_filtered_prompts_are_the_filter(tmp_path):
    folder = tiny_decoder(tmp_path / "decoder", scale=2.0)
    found = []
    for name, method in (("a", GRPO(prompts="filtered")), ("b", GRPO(filter_groups=True))):
        model = load(folder)
        world = World(PROMPTS, even_tokens, eos_id=1, max_new_tokens=6, layout=TokenLayout.of(model))
        settings = TrainingSettings(steps=2, batch_size=16, learning_rate=1e-2, warmup_steps=1)
        fit_online(dataclasses.replace(method, group_size=4), model, world, settings, tmp_path / name)
        found.append(weights(model))
    assert torch.equal(*found)


def test_the_axes_say_how_prompts_are_chosen():
    assert GRPO().chosen_axes == GRPO.axes
    assert GRPO(prompts="adaptive").chosen_axes.prompts == "prompts, those that teach most"
    both = GRPO(prompts="curriculum", filter_groups=True).chosen_axes.prompts
    assert both == "prompts, easy ones first, groups whose rewards differ"
