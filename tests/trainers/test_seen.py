"""What a training saw, counted by hand."""

import numpy as np
import pytest
from tiny_models import tiny_decoder
from transformers import AutoModelForCausalLM

from trainers import GRPO, TrainingSettings, World, fit_online
from trainers.inputs import TokenLayout
from trainers.seen import seen_offline

LENGTHS = np.arange(1, 13)  # of the responses of twelve rows


def test_single_rows():
    """Ten rows, of which a method chose the six of three prompts; two steps of four show five of them."""
    units, groups = np.arange(6)[:, None], np.array([0, 0, 1, 1, 2, 2])
    seen = seen_offline(units, groups, LENGTHS[:6], np.array([[0, 1, 2, 3], [4, 0, 1, 2]]), rows=10)
    assert (seen.rows, seen.rows_used, seen.prompts, seen.presentations) == (10, 5, 3, 8)
    assert seen.tokens == 2 * (1 + 2 + 3) + 4 + 5
    assert seen.epochs == 8 / 6
    assert seen.pairs is seen.pairs_used is None


def test_pairs_leave_rows_unused():
    """Best and worst of four responses to each of three prompts: half of the rows; one pair never comes."""
    units, groups = np.array([[0, 3], [5, 6], [8, 11]]), np.repeat([0, 1, 2], 4)
    seen = seen_offline(units, groups, LENGTHS, np.array([[0, 1], [1, 0]]), rows=12)
    assert (seen.rows, seen.rows_used, seen.prompts, seen.presentations) == (12, 4, 2, 8)
    assert seen.tokens == 2 * (1 + 4 + 6 + 7)
    assert (seen.pairs, seen.pairs_used, seen.epochs) == (3, 2, 4 / 3)


@pytest.mark.parametrize("passes", [1, 3])
def test_an_online_method_sees_what_it_sampled_as_often_as_it_passes_over_it(passes, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny_decoder(tmp_path / "model"))
    prompts = [[5, 6, 7, 1], [9, 1], [10, 11, 1], [12, 1]]
    world = World(prompts, lambda _, said: [float(sum(one)) for one in said], 1, 6, TokenLayout.of(model))
    settings = TrainingSettings(steps=3, batch_size=16, learning_rate=1e-9, warmup_steps=1)
    result = fit_online(GRPO(group_size=4, inner_epochs=passes), model, world, settings, tmp_path / "out")
    seen = result.seen
    assert seen.rows == seen.rows_used == result.rollouts == 3 * 16
    assert seen.prompts == 4
    assert (seen.presentations, seen.epochs) == (passes * 48, passes)
    assert seen.tokens == passes * result.tokens > 0
