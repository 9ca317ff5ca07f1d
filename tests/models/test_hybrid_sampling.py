"""Models with recurrent layers: sampled with whatever cache they have, they say what a whole pass says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hybrid_models import HYBRIDS, hybrid
from tiny_models import EOS, tiny_tokenizer

from rpo_bench.data.row import Prompt
from rpo_bench.models.hf import HFModel
from rpo_bench.spec.sections import Decoding
from trainers import GRPO, PPO, TrainingSettings, World, fit_online
from trainers.inputs import TokenLayout, collate
from trainers.logps import token_logps
from trainers.online import OnlineMethod
from trainers.sampling import sample
from trainers.sampling_ways import sampling_way
from trainers.stepping import Way, started
from trainers.training_log import read_training_log

PROMPTS = [[5, 6, 7, 8, 9], [10], [11, 12]]


@pytest.fixture(params=HYBRIDS, scope="module")
def model(request: pytest.FixtureRequest) -> Any:
    return hybrid(request.param)


@pytest.fixture(scope="module")
def layout(model: Any) -> TokenLayout:
    return TokenLayout.of(model)


@torch.no_grad()
def test_rollouts_have_the_log_probs_of_a_whole_pass_and_the_tokens_of_the_uncached_way(
    model: Any, layout: TokenLayout
):
    """Ragged prompts, several samples of each, some ending early: the cache is repeated and pruned."""
    uniforms = torch.as_tensor(np.random.default_rng(0).random((len(PROMPTS) * 6, 10)))
    found = sample(model, PROMPTS, 6, layout, tuple(range(20)), uniforms)
    assert len({len(response) for response in found.responses}) > 1
    prompts = [prompt for prompt in PROMPTS for _ in range(6)]
    expected = token_logps(model, collate(prompts, found.responses, layout))
    for row, logps in enumerate(found.logps):
        torch.testing.assert_close(logps, expected[row, : len(logps)], atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_the_way_that_is_chosen_steps_as_no_cache_does(model: Any, layout: TokenLayout):
    chosen, plain = (
        started(model, PROMPTS, 2, layout, way) for way in (sampling_way(model, layout), Way(cache=False))
    )
    rows = torch.tensor([1, 2, 5])
    for step in range(3):
        torch.testing.assert_close(
            chosen.logits.log_softmax(-1), plain.logits.log_softmax(-1), atol=2e-3, rtol=1e-3
        )
        for state in (chosen, plain):
            if step == 0:
                state.select(rows)
            state.advance(model, torch.arange(5 + step, 5 + step + len(rows)))


@pytest.mark.parametrize("method", [GRPO(group_size=2), PPO()], ids=["grpo", "ppo"])
@pytest.mark.parametrize("name", HYBRIDS)
def test_online_methods_train_on_them(name: str, method: OnlineMethod, tmp_path: Path):
    model = hybrid(name)
    world = World(PROMPTS, lambda _, said: [float(len(one)) for one in said], EOS, 6, TokenLayout.of(model))
    fit_online(method, model, world, TrainingSettings(steps=1, batch_size=4), tmp_path)
    assert read_training_log(tmp_path / "train_log.jsonl")[1]["kl"] == pytest.approx(0.0, abs=2e-3)


def test_samples_in_evaluation_are_those_of_each_prompt_alone(model: Any):
    tokenizer = tiny_tokenizer(append_eos=False)
    policy = HFModel(model, tokenizer)
    policy.check()
    prompts = [Prompt(prompt_id=str(i), text=" ".join(["cat"] * i)) for i in (1, 4, 2)]
    for decoding in (Decoding(max_new_tokens=6), Decoding(max_new_tokens=6, repetition_penalty=1.5)):
        together = policy.generate(prompts, 2, decoding, 0, 8)
        alone = [found for prompt in prompts for found in policy.generate([prompt], 2, decoding, 0, 1)]
        assert [one.token_ids for one in together] == [one.token_ids for one in alone]
