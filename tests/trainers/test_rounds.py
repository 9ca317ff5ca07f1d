"""Offline methods in rounds: rows of the policy itself, the same optimum against either reference, resume."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_models import tiny_decoder, tiny_encoder_decoder
from tiny_training import examples, load, weights

from trainers import DPO, DRO, KTO, REBEL, RPO, SFT, TrainingSettings, World
from trainers.errors import UserError
from trainers.fitting_rounds import fit_rounds
from trainers.groups import Group
from trainers.inputs import TokenLayout
from trainers.qrpo import QRPO
from trainers.round_checks import check_rounds
from trainers.round_rows import effective_share, joined, logged_groups, rows_of, with_reference_rewards
from trainers.rounds import RoundSource, in_rounds
from trainers.settings import Lora
from trainers.training_log import read_training_log

PROMPTS = [[5, 6, 7, 1], [9, 1], [10, 11, 1], [12, 1]]
WANTED = 20
SETTINGS = TrainingSettings(steps=24, batch_size=32, learning_rate=3e-2, warmup_steps=1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {
        "decoder": tiny_decoder(root / "decoder", scale=2.0),
        "encoder-decoder": tiny_encoder_decoder(root / "encoder-decoder"),
    }


def share_of_wanted(prompts, responses):
    return [sum(token == WANTED for token in response) / len(response) for response in responses]


def world(model, reward=share_of_wanted):
    return World(PROMPTS, reward, eos_id=1, max_new_tokens=6, layout=TokenLayout.of(model))


def above_the_mean(rows):
    """The labels of KTO's ``prompt_mean``, of groups of eight."""
    means = np.array([rows.rewards[rows.groups == group].mean() for group in rows.groups])
    return dataclasses.replace(rows, desirable=rows.rewards > means)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        (DPO(rounds=24, pairing="all"), "decoder"),
        (DPO(rounds=6, pairing="all"), "encoder-decoder"),
        (DRO(tau=0.1, rounds=24), "decoder"),
        (KTO(rounds=12), "decoder"),
        (REBEL(tau=0.1, rounds=6, reference="previous"), "decoder"),
    ],
    ids=["dpo online", "dpo", "dro online", "kto", "rebel, previous"],
)
def test_the_reward_of_the_rounds_rises_and_rollouts_count_as_online(method, kind, folders, tmp_path):
    """From one wanted token in thirty to one in three and more."""
    model, seen = load(folders[kind]), []

    def reward(prompts, responses):
        seen.append(share_of_wanted(prompts, responses))
        return seen[-1]

    result = fit_rounds(method, model, world(model, reward), SETTINGS, tmp_path, labelled=above_the_mean)
    assert result.status == "completed"
    assert result.rollouts == result.seen.rows == 24 * 32
    assert np.mean(seen[-1]) > np.mean(seen[0]) + 0.3
    log = read_training_log(tmp_path / "train_log.jsonl")
    assert [row["round"] for row in log[1:]] == [step * method.rounds // 24 for step in range(24)]
    assert log[1]["effective_samples"] == pytest.approx(1.0)
    assert 0 < log[-1]["effective_samples"] < 1
    assert (tmp_path / "checkpoint" / "model.safetensors").is_file()


class StopError(Exception):
    pass


@pytest.mark.parametrize(
    ("method", "lora"),
    [
        (DPO(rounds=3, prompts="adaptive"), None),
        (RPO(tau=0.5, rounds=2, reference="previous"), None),
        (DRO(rounds=2, fresh=0.5), None),
        (QRPO(rounds=2), Lora(rank=2)),
    ],
    ids=["dpo", "rpo, previous", "dro, a mixture", "qrpo, adapters"],
)
def test_a_run_that_was_interrupted_ends_bitwise_like_one_that_was_not(method, lora, folders, tmp_path):
    """Within a round and after it: rows, reference, counts, value network and what prompts taught."""
    settings = dataclasses.replace(SETTINGS, steps=6, save_every=2, lora=lora)
    logged = examples(prompts=10)
    # The rewards of reference samples belong to prompts; these are the world's.
    logged = dataclasses.replace(logged, prompts=[PROMPTS[group % 4] for group in logged.groups])
    results = []

    def run(name, stop_at=None):
        def stop(step, record):
            if step == stop_at:
                raise StopError

        model = load(folders["decoder"])
        result = fit_rounds(
            method, model, world(model, mean_token), settings, tmp_path / name, logged=logged, progress=stop
        )
        results.append(result)
        return model

    whole = run("whole")
    for stop_at in (3, 5):
        with pytest.raises(StopError):
            run("stopped", stop_at)
    resumed = run("stopped")
    assert torch.equal(weights(resumed), weights(whole))
    first, second = results
    assert dataclasses.replace(second, seconds=0, peak_memory_bytes=0) == dataclasses.replace(
        first, seconds=0, peak_memory_bytes=0
    )


def mean_token(prompts, responses):
    return [sum(response) / len(response) for response in responses]


def test_rows_that_teach_nothing_are_steps_without_a_gradient(folders, tmp_path):
    """All rewards equal in the first round: DPO finds no pair there, and learns from the second."""
    model, calls = load(folders["decoder"]), []

    def reward(prompts, responses):
        calls.append(responses)
        return [1.0] * len(responses) if len(calls) <= 2 else mean_token(prompts, responses)

    settings = dataclasses.replace(SETTINGS, steps=4)
    result = fit_rounds(DPO(rounds=2), model, world(model, reward), settings, tmp_path)
    log = read_training_log(tmp_path / "train_log.jsonl")[1:]
    assert [row["loss"] > 0 for row in log] == [False, False, True, True]
    assert result.seen.presentations == 2 * 2 * 8, "two steps of eight pairs"


def test_a_training_that_learns_nothing_at_all_is_said_so(folders, tmp_path):
    model = load(folders["decoder"])
    settings = dataclasses.replace(SETTINGS, steps=4)
    equal = world(model, lambda prompts, responses: [1.0] * len(responses))
    with pytest.raises(UserError, match="dpo learnt nothing in 2 rounds: all rewards"):
        fit_rounds(DPO(rounds=2), model, equal, settings, tmp_path)


def test_one_pair_is_enough_for_a_step(folders, tmp_path):
    """Fully online with one prompt a step, as many rollouts as GRPO would have."""
    model = load(folders["decoder"])
    before = weights(model).clone()
    settings = dataclasses.replace(SETTINGS, steps=4, batch_size=8)
    result = fit_rounds(DPO(rounds=4), model, world(model, mean_token), settings, tmp_path)
    assert result.seen.pairs == result.seen.pairs_used == 4
    assert not torch.equal(weights(model), before)


def test_a_rounds_file_that_is_damaged_is_one_sentence(folders, tmp_path):
    settings = dataclasses.replace(SETTINGS, steps=4, save_every=2)

    def run(progress=None):
        model = load(folders["decoder"])
        return fit_rounds(DPO(rounds=2), model, world(model), settings, tmp_path, progress=progress)

    def stop(step, record):
        if step == 3:
            raise StopError

    with pytest.raises(StopError):
        run(stop)
    (file,) = (tmp_path / "partial").glob("*/round.pt")
    file.write_bytes(b"half of it")
    with pytest.raises(UserError, match=r"round\.pt: the rows of the round can't be read.*delete"):
        run()


# --- what a round is made of ---


def rounds_of(method, policy, reference, steps=4, logged=None, rewards=(1.0, 0.0, 2.0, 5.0)):
    """A source whose every step samples one group of four, with given log-probs under both policies."""

    def groups(step, of):
        return [Group([7], [[3], [4, 1], [5, 1], [6, 1]], list(rewards), [], [True] * 4, step)], [], 0.0

    source = SimpleNamespace(backend=None, effective_groups=groups, count_used=lambda groups, step: None)
    settings = TrainingSettings(steps=steps, batch_size=4)
    return RoundSource(method, source, settings, policy, reference, logged=logged)


def score_by(logps):
    return lambda prompts, responses: np.resize(np.log(logps), len(responses))


PI_T, PI_REF = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("zscored", [True, False])
def test_against_the_previous_policy_the_corrected_reward_has_the_same_optimum(zscored):
    """π_t e^{r̃/τ} ∝ π_ref e^{r/τ}, r z-scored with the first round's scale where the method does so."""
    tau = 0.7
    method = type("M", (RPO,), {"zscore_rewards": zscored})(tau=tau, rounds=2, reference="previous")
    source = rounds_of(method, score_by(PI_T), score_by(PI_REF))
    found = source.sample(1)
    np.testing.assert_allclose(found.reference_logps[:4], np.log(PI_T))
    mean, sd = source.scale if zscored else (0.0, 1.0)
    rewards = (np.array([1.0, 0.0, 2.0, 5.0]) - mean) / sd
    corrected = (found.examples.rewards[:4] - mean) / sd
    one, other = PI_T * np.exp(corrected / tau), PI_REF * np.exp(rewards / tau)
    np.testing.assert_allclose(one / one.sum(), other / other.sum())


def test_against_the_initial_reference_z_has_the_weights_of_who_wrote_the_rows():
    """Σ w e^{r/τ}/Σ w with w = π_ref/π_t; log_mean_exp would be of the policy itself."""
    source = rounds_of(RPO(tau=1.0, rounds=1), score_by(PI_T), score_by(PI_REF), steps=1)
    assert source.method.partition == "self_normalised"
    assert in_rounds(RPO(rounds=2, reference="previous")).partition == "log_mean_exp"
    assert in_rounds(RPO(rounds=2, reference="previous", fresh=0.5)).partition == "self_normalised"
    data = source.data(source.sample(0), None, None, "float32")
    rewards, w = np.array([1.0, 0.0, 2.0, 5.0]), PI_REF / PI_T
    scaled = (rewards - rewards.mean()) / rewards.std()
    expected = np.log((w * np.exp(scaled)).sum() / w.sum())
    np.testing.assert_allclose(data.log_partition, expected)


def test_the_effective_share_of_weighted_samples():
    """Weights (1, 3): 16/(2 · 10) = 0.8; equal ones: 1; one alone of n: 1/n."""
    groups = np.array([0, 0, 1, 1])
    assert effective_share(np.log([1.0, 3.0, 2.0, 2.0]), groups) == pytest.approx(0.9)
    assert effective_share(np.array([0.0, -500.0]), np.array([0, 0])) == pytest.approx(0.5)


def test_every_round_is_scaled_as_the_first():
    """A better policy's rewards vary less; with a scale of its own each round would have another τ."""
    source = rounds_of(DRO(rounds=2), score_by(PI_T), score_by(PI_REF))
    source.sample(0)
    first = source.scale
    source.source = SimpleNamespace(
        effective_groups=lambda step, of: (
            [Group([7], [[3], [4]], [9.0, 9.1], [], [True] * 2, step)],
            [],
            0.0,
        ),
        backend=None,
        count_used=lambda groups, step: None,
    )
    data = source.data(source.sample(1), None, None, "float32")
    assert source.scale == first == (data.reward_mean, data.reward_sd)


def test_a_mixture_has_whole_logged_prompts_beside_the_fresh_rows():
    logged = examples(prompts=10)
    method = DPO(rounds=1, fresh=0.5)
    source = rounds_of(method, score_by(PI_T), score_by(PI_REF), steps=4, logged=logged)
    source.settings = dataclasses.replace(source.settings, batch_size=8)
    rows = source.sample(0).examples
    assert len(rows) >= 32
    per_prompt = np.unique(logged.groups, return_counts=True)[1].max()
    assert 16 <= len(rows) - 16 < 16 + per_prompt
    assert set(rows.groups[:16].tolist()).isdisjoint(rows.groups[16:].tolist())


def test_logged_prompts_that_run_out_come_again_as_prompts_of_their_own():
    logged = examples(prompts=2)
    found = logged_groups(logged, 3 * len(logged), np.random.default_rng(0))
    assert len(found) == 3 * len(logged)
    assert len(np.unique(found.groups)) == 6


def test_rows_keep_their_prompts_apart_when_joined():
    group = Group([7], [[3], [4]], [1.0, 0.0], [], [True, True], 0)
    fresh, logged = rows_of([group, group]), examples(prompts=2)
    both = joined(fresh, logged)
    assert fresh.groups.tolist() == [0, 0, 1, 1]
    assert set(both.groups[:4].tolist()).isdisjoint(both.groups[4:].tolist())
    assert len(np.unique(both.groups)) == 2 + len(np.unique(logged.groups))


def test_rewards_of_reference_samples_follow_their_prompts():
    logged = dataclasses.replace(
        examples(prompts=2), reference_rewards={0: np.array([1.0, 2.0]), 1: np.array([3.0])}
    )
    own = [list(logged.prompts[np.flatnonzero(logged.groups == g)[0]]) for g in (1, 0)]
    fresh = rows_of([Group(prompt, [[3]], [1.0], [], [True], 0) for prompt in [*own, [99]]])
    found = with_reference_rewards(fresh, logged).reference_rewards
    assert {group: rewards.tolist() for group, rewards in found.items()} == {0: [3.0], 1: [1.0, 2.0]}


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (DPO(rounds=11), "rounds is from 0 to the number of steps, 10, not 11"),
        (DPO(rounds=-1), "rounds is from 0 to the number of steps, 10, not -1"),
        (DPO(rounds=2, samples=1), "makes pairs of a prompt's responses: samples is at least 2, not 1"),
        (SFT(rounds=2, samples=0), "samples is at least 1, not 0"),
        (SFT(rounds=2, samples=33), "batch_size 32 holds no group of 33 rollouts: raise it"),
        (SFT(rounds=2, fresh=0.0), "fresh is above 0 and at most 1, not 0"),
        (SFT(rounds=2, fresh=0.3), "fresh=0.3 of 32 rows is 9.6, which 8 samples to a prompt don't divide"),
        (RPO(rounds=2, partition="leave_one_out"), "in rounds give partition=self_normalised"),
        (
            RPO(rounds=2, partition="leave_one_out", reference="previous", fresh=0.5),
            "or reference=previous without logged rows",
        ),
        (QRPO(rounds=2, quantiles="group"), "quantiles=group ranks a response among those of whoever"),
        (KTO(rounds=2, reference="previous"), "regresses on rewards with a τ and sums log-probs: omit it"),
        (QRPO(rounds=2, reference="previous"), "regresses on rewards with a τ and sums log-probs: omit it"),
        (RPO(rounds=2, reference="previous", logp="mean"), "and sums log-probs: omit it"),
        (DPO(samples=4), "samples has an effect in rounds alone: give rounds=N too"),
        (DPO(prompts="adaptive"), "prompts has an effect in rounds alone"),
    ],
)
def test_options_that_make_no_sense_are_one_sentence(method, message):
    with pytest.raises(UserError, match=message):
        check_rounds(method, 10, 32)


def test_the_axes_are_the_methods_own_without_rounds():
    assert DPO().chosen_axes == DPO.axes
    axes = DPO(rounds=4, prompts="adaptive", fresh=0.5).chosen_axes
    assert axes.prompts == "prompts, those that teach most"
    assert axes.responses.startswith("samples of the policy and logged responses, 4 rounds")
