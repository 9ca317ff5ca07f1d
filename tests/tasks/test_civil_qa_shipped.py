"""What is shipped for civil_qa: models, rows and reference samples agree with one another."""

import numpy as np
import pytest
import torch

from rpo_bench.data.readers import read_rows
from rpo_bench.data.row import Prompt
from rpo_bench.models.hf import HFModel
from rpo_bench.spec.sections import Decoding
from rpo_bench.stats.oracle import oracle_curve
from rpo_bench.tasks.task import load_task
from tasks.civil_qa.describe import behaviour
from tasks.civil_qa.questions import ask, asked
from tasks.civil_qa.reading import read
from tasks.civil_qa.reward import gold_reward
from tasks.civil_qa.sampling import MAX_NEW_TOKENS, NOISE

TASK = load_task("civil_qa")
MODELS = tuple(TASK.spec.models)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return request.param, HFModel.load(TASK.model_folder(request.param), device="cpu")


@pytest.fixture(scope="module", params=list(TASK.spec.train))
def variant(request):
    return request.param, read_rows(TASK.folder / TASK.spec.train[request.param])


def key_of(text):
    return asked()[text]


def test_sizes():
    weights = [TASK.model_folder(name) / "model.safetensors" for name in MODELS]
    assert sum(file.stat().st_size for file in weights) <= 1_900_000
    everything = [
        file for file in TASK.folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    ]
    assert sum(file.stat().st_size for file in everything) < 6_000_000


def test_both_architectures_are_there(model):
    name, policy = model
    assert policy.architecture == name
    assert 100_000 <= policy.model.num_parameters() <= 250_000
    assert TASK.spec.max_new_tokens == MAX_NEW_TOKENS


def test_prompts():
    """576 held out and 288 to tune by, every question in four wordings; 32 probes."""
    parts = [[key_of(p.text) for p in prompts] for prompts in (TASK.heldout, TASK.tuning, TASK.probe)]
    assert [(len(part), len(set(part))) for part in parts] == [(576, 144), (288, 72), (32, 8)]
    heldout, tuning, probe = map(set, parts)
    assert not heldout & tuning
    assert not probe & (heldout | tuning)
    for part in (heldout, tuning):
        assert len({topic for topic, _ in part}) == 72
        assert len({kind for _, kind in part}) == 18


def test_no_question_that_is_measured_is_trained_on(variant):
    _, rows = variant
    trained = {key_of(row.prompt) for row in rows}
    assert len({row.prompt for row in rows}) == 832
    assert not trained & {key_of(p.text) for p in (*TASK.heldout, *TASK.tuning, *TASK.probe)}


def test_eight_responses_each_with_their_log_probability_and_noisy_rewards(variant):
    _, rows = variant
    counts = np.unique([row.prompt_id for row in rows], return_counts=True)[1]
    assert set(counts) == {8}
    assert all(row.behaviour_logp is not None and row.behaviour_logp < 0 for row in rows)
    prompts = [Prompt(prompt_id=row.prompt_id, text=row.prompt) for row in rows]
    gold = np.array(gold_reward(prompts, [row.response for row in rows]))
    assert [row.metadata["gold"] for row in rows] == gold.tolist()
    noise = np.array([row.reward for row in rows]) - gold
    assert noise.std() == pytest.approx(NOISE, rel=0.03)
    assert noise.mean() == pytest.approx(0, abs=4 * NOISE / len(rows) ** 0.5)


def test_reference_rewards_are_of_the_reference_policy(variant):
    """32 for each prompt; their mean is the on-policy rewards' mean within four standard errors."""
    name, rows = variant
    on_policy = read_rows(TASK.train_file("on_policy", name.partition("/")[2]))
    by_prompt = {row.prompt_id: row.reference_rewards for row in rows}
    assert {len(rewards) for rewards in by_prompt.values()} == {32}
    ours = np.array([row.reward for row in on_policy])
    error = ours.std() / len(ours) ** 0.5
    assert np.mean(list(by_prompt.values())) == pytest.approx(ours.mean(), abs=4 * error)


@pytest.mark.parametrize("name", MODELS)
def test_on_policy_log_probabilities_are_the_models(name):
    rows = read_rows(TASK.train_file("on_policy", name))[::200]
    policy = HFModel.load(TASK.model_folder(name), device="cpu")
    eos = policy.tokenizer.eos_token_id
    tokens = policy.tokenizer([row.response for row in rows], add_special_tokens=False).input_ids
    logps = policy.token_logps([row.prompt for row in rows], [(*ids, eos) for ids in tokens], 64)
    assert [logp.sum() for logp in logps] == pytest.approx([r.behaviour_logp for r in rows], abs=1e-3)


def test_off_policy_responses_are_worse_and_the_same_for_both_models():
    rows = {name: read_rows(TASK.train_file("off_policy", name)) for name in MODELS}
    first, second = ([(r.prompt, r.response, r.reward) for r in rows[name]] for name in MODELS)
    assert first == second
    on_policy = read_rows(TASK.train_file("on_policy", MODELS[0]))
    assert np.mean([r.reward for r in rows[MODELS[0]]]) < np.mean([r.reward for r in on_policy]) - 0.3


def test_reference_policies_behave_as_documented(model):
    """A third rude, about as many wrong, and rewards that differ widely on each prompt (1,536 samples)."""
    _, policy = model
    prompts = TASK.heldout[::3]  # every question's wordings come in fours
    drawn = policy.generate(prompts, 8, Decoding(max_new_tokens=MAX_NEW_TOKENS), seed=5, batch_size=256)
    found = behaviour(prompts, drawn)
    assert 0.27 < found["toxic (classifier ≥ 0.5)"] < 0.38
    assert 0.30 < found["right"] < 0.55
    assert 0.30 < found["wrong or contradictory"] < 0.50
    assert found["not understood in part"] < 0.1
    assert found["ended by itself"] > 0.99
    assert found["reward, deviation within prompts"] > 0.7
    assert abs(found["toxic (classifier ≥ 0.5)"] - found["insulting (as read)"]) < 0.03


@pytest.mark.parametrize("name", MODELS)
def test_the_oracle_rises_far_above_the_reference(name):
    """From 1024 samples a prompt; it still rises at 2 nats, where more than 10 of them carry the weight."""
    stored = np.load(TASK.folder / TASK.spec.reference_samples[name])
    rewards = stored["rewards"].astype(float)
    assert rewards.shape == (576, 1024)
    assert stored["prompt_ids"].tolist() == [prompt.prompt_id for prompt in TASK.heldout]
    curve = oracle_curve(rewards, np.array([np.inf, 0.5, 0.2]))
    assert curve.reward[0] == pytest.approx(rewards.mean())
    assert 0.6 < curve.kl[1] < 1.3
    assert curve.reward[1] > rewards.mean() + 0.8
    assert 1.7 < curve.kl[2] < 3
    assert curve.reward[2] > curve.reward[1] + 0.2
    assert curve.ess[2] * curve.samples > 10


def test_the_oracles_samples_are_of_the_shipped_model(model):
    """Mean rewards of 2 fresh samples a prompt agree with the stored ones within four standard errors."""
    name, policy = model
    stored = np.load(TASK.folder / TASK.spec.reference_samples[name])["rewards"]
    drawn = policy.generate(TASK.heldout, 2, Decoding(max_new_tokens=MAX_NEW_TOKENS), seed=6, batch_size=256)
    by_id = {prompt.prompt_id: prompt for prompt in TASK.heldout}
    fresh = np.array(gold_reward([by_id[s.prompt_id] for s in drawn], [s.text for s in drawn]))
    assert fresh.mean() == pytest.approx(stored.mean(), abs=4 * fresh.std() / len(fresh) ** 0.5)


def test_the_reward_is_found_through_the_task():
    prompt = ask(("whale", "home"), 2)
    assert TASK.reward([prompt], ["A whale lives in the sea."]) == [1.0]
    assert read(("whale", "home"), "A whale lives in the sea.").right
