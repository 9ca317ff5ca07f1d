"""The Bradley–Terry objective, its training loop, and scores that don't depend on the batch."""

import math

import numpy as np
import pytest
import torch
from tiny_models import EOS, PAD, SEED, WORDS, tiny_decoder, tiny_encoder_decoder
from transformers import AutoModelForSequenceClassification

from trainers.errors import UserError
from trainers.reward_model import (
    Comparisons,
    RewardModelSettings,
    default_learning_rate,
    fit_reward_model,
    mean_over_prompts,
    preference_loss,
    zero_head,
)
from trainers.sequence_scores import Encoded, all_scores, reads_padding, sequence_scores

KINDS = ("llama", "gpt2", "t5", "bart")


def classifier(folder, kind="llama", scale=20.0):
    """A classifier with one label on a tiny model, with weights large enough for scores to differ."""
    make = tiny_decoder if kind in ("llama", "gpt2") else tiny_encoder_decoder
    torch.manual_seed(SEED)
    model = AutoModelForSequenceClassification.from_pretrained(
        make(folder, kind=kind, scale=scale if kind != "t5" else 1.0), num_labels=1
    )
    for parameter in model.parameters():
        if parameter.shape[0] == 1:
            torch.nn.init.normal_(parameter, std=1.0)
    return model.eval()


def row(*words):
    """A row of words that ends by the end-of-sequence."""
    return Encoded([*(4 + WORDS.index(word) for word in words), EOS])


ROWS = [row("what", "is", "the", "cat"), row("dog"), row("a", "good", "house", "city", "!")]


# --- the loss ---


def test_equal_scores_cost_log_2():
    loss = preference_loss(torch.zeros(2), torch.tensor([[0, 1]]), torch.ones(1))
    assert loss.item() == pytest.approx(math.log(2))


def test_a_hand_worked_loss():
    """Scores 1, 0, −1; pairs (0, 1), (2, 0); weights ½: ½ log(1 + e^−1) + ½ log(1 + e^2)."""
    loss = preference_loss(
        torch.tensor([1.0, 0.0, -1.0]), torch.tensor([[0, 1], [2, 0]]), torch.tensor([0.5, 0.5])
    )
    assert loss.item() == pytest.approx(0.5 * 0.3132617 + 0.5 * 2.1269280, abs=1e-6)


def test_the_gradient_is_the_probability_of_the_wrong_order():
    """d/ds_w −log σ(Δ) = −σ(−Δ): at Δ = log 3, −¼ for the better and ¼ for the worse."""
    scores = torch.tensor([math.log(3), 0.0], requires_grad=True)
    preference_loss(scores, torch.tensor([[0, 1]]), torch.ones(1)).backward()
    assert scores.grad.tolist() == pytest.approx([-0.25, 0.25])


def test_a_prompts_pairs_share_its_weight():
    """A prompt with one pair and one with three: 1 and ⅓ each."""
    pairs = np.array([[0, 1], [2, 3], [2, 4], [3, 4]])
    data = Comparisons([], np.array([0, 0, 1, 1, 1]), pairs)
    assert data.weights.tolist() == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3])


def test_the_mean_counts_prompts_and_not_rows():
    """Prompt 0 has scores 0 and 2, prompt 1 has 5: (1 + 5) / 2."""
    assert mean_over_prompts(np.array([0.0, 2.0, 5.0]), np.array([0, 0, 1])) == 3.0


# --- scores ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_score_is_the_same_alone_and_in_any_batch(tmp_path, kind):
    model = classifier(tmp_path / "base", kind)
    alone = torch.cat([sequence_scores(model, [one]) for one in ROWS])
    assert len(set(alone.tolist())) == 3
    torch.testing.assert_close(sequence_scores(model, ROWS), alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(all_scores(model, ROWS, 2), alone.detach(), atol=1e-5, rtol=1e-5)
    assert not reads_padding(model, ROWS, "it")


@pytest.mark.parametrize("padding", [None, EOS])
def test_without_a_padding_token_of_its_own_a_score_is_still_the_same(tmp_path, padding):
    model = classifier(tmp_path / "base", "gpt2")
    model.config.pad_token_id = padding
    alone = torch.cat([sequence_scores(model, [one]) for one in ROWS])
    torch.testing.assert_close(sequence_scores(model, ROWS), alone, atol=1e-5, rtol=1e-5)


def test_an_encoder_decoder_reads_texts_with_different_numbers_of_ends(tmp_path):
    """The classifier itself refuses a batch whose rows have one and two end-of-sequence tokens."""
    model = classifier(tmp_path / "base", "t5")
    rows = [row("cat"), Encoded([*row("dog").ids, *row("red", "house").ids])]
    alone = torch.cat([sequence_scores(model, [one]) for one in rows])
    torch.testing.assert_close(sequence_scores(model, rows), alone, atol=1e-5, rtol=1e-5)


def test_a_model_that_reads_its_padding_gets_equally_long_rows(tmp_path):
    model = classifier(tmp_path / "base")
    broken = model.forward
    model.forward = lambda **inputs: broken(
        input_ids=torch.where(inputs["input_ids"] == PAD, 7, inputs["input_ids"])
    )
    assert reads_padding(model, ROWS, "it")
    alone = torch.cat([sequence_scores(model, [one]) for one in ROWS])
    torch.testing.assert_close(sequence_scores(model, ROWS, True), alone, atol=1e-5, rtol=1e-5)


# --- training ---


def world(prompts=12):
    """Each prompt with "good" and "bad" words in its answers: the truth is that good ones win."""
    rows, owners, pairs = [], [], []
    topics = [word for word in WORDS if word not in ("good", "bad", "sure", "stupid")]
    for prompt in range(prompts):
        first = len(rows)
        for answer in (("good", "sure"), ("good",), ("maybe",), ("bad", "stupid")):
            rows.append(row("what", topics[prompt], *answer))
            owners.append(prompt)
        pairs += [(first + i, first + j) for i in range(4) for j in range(i + 1, 4)]
    return Comparisons(rows, np.array(owners), np.array(pairs))


SETTINGS = RewardModelSettings(steps=30, batch_size=6, learning_rate=6e-3, warmup_steps=5)


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_a_planted_truth_is_recovered_on_prompts_never_seen(tmp_path, kind):
    data = world()
    train = Comparisons(data.rows, data.prompts, data.pairs[data.prompts[data.pairs[:, 0]] < 9])
    model = classifier(tmp_path / "base", kind, scale=1.0)
    zero_head(model)
    log = fit_reward_model(model, train, SETTINGS)
    assert log[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    scores = all_scores(model, data.rows, 64).numpy()
    unseen = data.pairs[data.prompts[data.pairs[:, 0]] >= 9]
    assert (scores[unseen[:, 0]] > scores[unseen[:, 1]]).mean() > 0.9
    assert log[-1]["loss"] < 0.4


def weights_after(folder, data, settings):
    model = classifier(folder, scale=1.0)
    zero_head(model)
    fit_reward_model(model, data, settings)
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_equal_seeds_give_equal_weights_and_micro_batches_the_same_ones(tmp_path):
    short = RewardModelSettings(steps=4, batch_size=6, learning_rate=3e-3, warmup_steps=0)
    once = weights_after(tmp_path / "a", world(), short)
    assert torch.equal(once, weights_after(tmp_path / "b", world(), short))
    parts = RewardModelSettings(**{**vars(short), "micro_batch_size": 2})
    # Adam divides small gradients by themselves: a weight's rounding may grow, that of all together doesn't.
    moved = once - weights_after(tmp_path / "d", world(), RewardModelSettings(**{**vars(short), "steps": 1}))
    assert (weights_after(tmp_path / "c", world(), parts) - once).norm() < 0.02 * moved.norm()


def test_too_few_comparisons_are_refused(tmp_path):
    model = classifier(tmp_path / "base")
    with pytest.raises(
        UserError, match="at least two prompts with responses of different reward; there is 1"
    ):
        fit_reward_model(model, Comparisons(ROWS, np.zeros(3, int), np.array([[0, 1]])), SETTINGS)


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    model = classifier(tmp_path / "base")
    torch.nn.init.constant_(model.score.weight, float("nan"))
    with pytest.raises(UserError, match="diverged at step 1"):
        fit_reward_model(model, world(), SETTINGS)


def test_the_learning_rate_shrinks_with_the_width(tmp_path):
    """Tiny models are 16 wide: 0.03 / 16."""
    assert default_learning_rate(classifier(tmp_path / "base")) == 0.03 / 16
