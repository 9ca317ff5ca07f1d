"""Online methods in the harness: their prompts, their reward, a cell from plan to record."""

import pytest
from run_cli import invoke, stored
from tiny_models import tiny_decoder
from tiny_task import tiny_task, write_rows

from rpo_bench.data.convert import prompts_of
from rpo_bench.data.readers import read_rows
from rpo_bench.data.row import Prompt
from rpo_bench.engine.inputs.prompts import load_prompts, save_prompts
from rpo_bench.engine.stages.rollouts import make_world
from rpo_bench.errors import UserError
from rpo_bench.models.hf import HFModel


def test_prompts_are_kept_once_in_the_order_of_the_rows(tmp_path):
    rows = read_rows(write_rows(tmp_path / "rows.jsonl"))
    save_prompts(tmp_path / "examples.npz", prompts_of(rows))
    kept = load_prompts(tmp_path / "examples.npz")
    assert [prompt.text for prompt in kept] == list(dict.fromkeys(row.prompt for row in rows))


def test_the_world_scores_texts_for_their_own_prompts(tmp_path):
    """Prompts without room for a response are left out, so owners count the others."""
    model = HFModel.load(tiny_decoder(tmp_path / "model"))
    prompts = [
        Prompt(prompt_id="long", text="cat " * 200),
        Prompt(prompt_id="a", text="what is the cat ?"),
        Prompt(prompt_id="b", text="who is the dog ?"),
    ]
    seen = []

    def reward(asked, texts):
        seen.extend(zip([prompt.prompt_id for prompt in asked], texts, strict=True))
        return [float(len(text.split())) for text in texts]

    world = make_world(model, prompts, reward, max_new_tokens=8)
    words = [model.tokenizer(text, add_special_tokens=False).input_ids for text in ("good cat", "yes")]
    assert world.reward([1, 0], [[*words[0], world.eos_id], words[1]]) == [2.0, 1.0]
    assert seen == [("b", "good cat"), ("a", "yes")]


def test_a_response_without_a_score_is_named(tmp_path):
    model = HFModel.load(tiny_decoder(tmp_path / "model"))
    world = make_world(model, [Prompt(prompt_id="a", text="what ?")], lambda p, r: [None], 8)
    with pytest.raises(UserError, match="no score for a response to the prompt a"):
        world.reward([0], [[5]])


def test_online_and_offline_methods_share_a_run(tmp_path):
    tiny_task(tmp_path / "tiny", encoder_decoder=True)
    done = invoke(
        "train-and-eval", "--task", tmp_path / "tiny", "--methods", "rpo,grpo(group_size=4),ppo",
        "--models", "decoder,encoder-decoder", "--steps", 2, "--batch-size", 8, "--seeds", 0,
        "--strengths", "0.5", "--n-samples", 2, "--probe-every", 1, "--output-path", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    records = [found.record for found in stored(tmp_path / "out")]
    assert len(records) == 2 * (3 + 1)
    spent = {record.spec.method.label: record.cost.rollouts for record in records}
    assert spent == {"reference": 0, "rpo": 0, "grpo(group_size=4)": 16, "ppo(inner_epochs=1)": 16}


def test_an_online_method_without_a_reward_is_refused_before_any_work(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl")
    done = invoke(
        "train-and-eval", "--data", rows, "--models", tiny_decoder(tmp_path / "model"), "--methods", "rloo",
        "--output-path", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 2
    assert "rloo samples its own responses and needs a reward" in done.stderr
    assert "--reward python:FILE:FUNCTION" in " ".join(done.stderr.split())
    assert not (tmp_path / "out" / "results").exists()
