"""Reward models: made from rows, loaded from folders, scoring alike in any batch; and what is refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from tiny_models import SEED, UNK, tiny_decoder, tiny_encoder_decoder, tiny_tokenizer
from tiny_task import write_rows
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig
from transformers import BertForSequenceClassification as Bert

from rpo_bench.data.readers import read_rows
from rpo_bench.data.row import Prompt
from rpo_bench.data.split import split_rows
from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_folder
from rpo_bench.models.reward import RewardModel, check_reward_folder
from rpo_bench.models.reward_record import read_reward_record
from rpo_bench.models.reward_training import (
    RewardData,
    comparisons,
    load_base,
    measured_pairs,
    ordered_pairs,
    scale_of,
    train_reward_model,
)
from trainers.reward_model import RewardModelSettings

SETTINGS = RewardModelSettings(steps=60, batch_size=4, learning_rate=5e-3)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return read_rows(write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl"))


def made(folder, base, rows, **more):
    split = split_rows(rows, 0.25, 0)
    train_reward_model(RewardData(split.train, split.test, "rows"), base, SETTINGS, folder, **more)
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("llama")
    return made(folder / "rm", tiny_decoder(folder / "base"), rows)


@pytest.fixture(scope="module")
def t5(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("t5")
    return made(folder / "rm", tiny_encoder_decoder(folder / "base"), rows)


def texts(rows):
    return [row.prompt for row in rows], [row.response for row in rows]


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_it_orders_responses_to_prompts_that_it_has_not_seen(request, kind):
    """The rows' answers are worth 1, 0.8, 0.4 and −1 whatever the prompt."""
    record = read_reward_record(request.getfixturevalue(kind))
    assert record.heldout.accuracy.point > 0.9
    assert (record.train_prompts, record.train_pairs) == (6, 36)
    assert (record.heldout.prompts, record.heldout.pairs) == (2, 12)
    assert record.heldout.log_loss < 0.5


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_scores_do_not_depend_on_the_batch_nor_on_the_way_through_the_disk(request, rows, kind):
    model = RewardModel.load(request.getfixturevalue(kind))
    alone = model.scores(*texts(rows), batch_size=1)
    np.testing.assert_allclose(model.scores(*texts(rows), batch_size=5), alone, atol=1e-5)
    asked = [Prompt(prompt_id=str(i), text=row.prompt) for i, row in enumerate(rows)]
    np.testing.assert_allclose(model(asked, [row.response for row in rows]), alone, atol=1e-5)
    assert model(asked[:1], ["good"]) != model(asked[:1], ["bad"])


def test_scores_are_centred_on_the_training_prompts(llama, rows):
    train = split_rows(rows, 0.25, 0).train
    assert RewardModel.load(llama).scores(*texts(train)).mean() == pytest.approx(0.0, abs=1e-5)


def test_plain_transformers_gives_the_same_score_but_for_the_centre(llama):
    """Prompt, response, end-of-sequence: no code of ours is needed to use it elsewhere."""
    tokenizer = AutoTokenizer.from_pretrained(llama)
    model = AutoModelForSequenceClassification.from_pretrained(llama).eval()
    inputs = tokenizer("what is the cat ? yes good </s>", return_tensors="pt")
    with torch.no_grad():
        score = model(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask).logits.item()
    centred = RewardModel.load(llama).scores(["what is the cat ?"], ["yes good"])[0]
    assert score - model.config.reward_centre == pytest.approx(centred, abs=1e-5)


def test_the_same_seed_gives_the_same_bytes(tmp_path, llama, rows):
    """Under the base model's folder name, which the record repeats."""
    assert hash_folder(made(tmp_path / "rm", tiny_decoder(tmp_path / "base"), rows)) == hash_folder(llama)


def test_half_precision_halves_the_weights(tmp_path, llama, rows):
    small = made(tmp_path / "rm", tiny_decoder(tmp_path / "base"), rows, dtype=torch.float16)
    size = [(folder / "model.safetensors").stat().st_size for folder in (small, llama)]
    assert size[0] < 0.6 * size[1]
    a, b = (RewardModel.load(folder).scores(*texts(rows)) for folder in (small, llama))
    np.testing.assert_allclose(a, b, atol=0.02)


@pytest.mark.parametrize("pad_token", [None, "</s>"])
def test_a_base_model_without_padding_of_its_own_gets_some(tmp_path, pad_token):
    base = tiny_decoder(tmp_path / "base", kind="gpt2")
    tokenizer = tiny_tokenizer(append_eos=False)
    tokenizer.pad_token = pad_token
    tokenizer.save_pretrained(base)
    model, tokenizer = load_base(base, 0)
    assert model.config.pad_token_id == tokenizer.pad_token_id != tokenizer.eos_token_id
    assert model.get_input_embeddings().num_embeddings > tokenizer.pad_token_id


def test_any_classifier_with_one_label_is_a_reward(tmp_path):
    """BERT reads two texts with a separator and segments."""
    torch.manual_seed(SEED)
    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=12, num_labels=1, pad_token_id=0,
    )  # fmt: skip
    Bert(config).save_pretrained(tmp_path / "bert")
    tiny_tokenizer(append_eos=True).save_pretrained(tmp_path / "bert")
    model = RewardModel.load(tmp_path / "bert")
    row = model.encode("what is", "good cat")
    assert list(row.ids).count(1) == 2  # prompt </s> response </s>
    scores = model.scores(["what is", "the"], ["good cat", "cat " * 30])
    assert np.isfinite(scores).all()


def test_long_texts_lose_the_beginning_of_the_prompt(llama, caplog):
    """128 positions: the score is that of the first token with the last 127."""
    model = RewardModel.load(llama)
    long = model.scores(["cat " * 200], ["yes good"])
    assert "1 of 1 texts were cut" in caplog.text
    assert long == pytest.approx(model.scores(["cat " * 125], ["yes good"]), abs=1e-5)


def test_unknown_words_are_scored_all_the_same(llama):
    model = RewardModel.load(llama)
    assert UNK in model.encode("zebra", "quagga").ids
    assert np.isfinite(model.scores(["zebra"], ["quagga"])).all()


# --- what is learnt and measured ---


def test_a_preference_pair_is_compared_within_itself_only(llama, rows):
    """Two pairs of one prompt: two comparisons, not four."""
    made_of = [
        row.model_copy(
            update={"prompt": "a", "prompt_id": "a", "reward": float(i % 2 == 0), "pair": str(i // 2)}
        )
        for i, row in enumerate(rows[:4])
    ]
    data = comparisons(made_of, RewardModel.load(llama), "pairs")
    assert data.pairs.tolist() == [[0, 1], [2, 3]]


def test_ties_give_no_pair():
    pairs = ordered_pairs(np.array([1.0, 1.0, 2.0, 0.0]), np.array([0, 0, 0, 1]))
    assert pairs.tolist() == [[2, 0], [2, 1]]


def test_accuracy_is_the_mean_over_prompts():
    """Prompt 0: one pair, right. Prompt 1: one of three right. (1 + ⅓) / 2."""
    scores = np.array([1.0, 0.0, 0.0, 2.0, 1.0])
    record = measured_pairs(scores, np.array([0, 0, 1, 1, 1]), np.array([[0, 1], [2, 3], [2, 4], [3, 4]]))
    assert record.accuracy.point == pytest.approx(2 / 3)
    assert (record.prompts, record.pairs) == (2, 4)


def test_a_scale_gives_scores_the_mean_and_deviation_of_rewards():
    scores, rewards = np.array([0.0, 1.0, 2.0]), np.array([-1.0, 0.0, 4.0])
    scale = scale_of(scores, rewards, "three")
    standardised = [scale.standardised(score) for score in scores]
    assert np.mean(standardised) == pytest.approx(rewards.mean())
    assert np.std(standardised) == pytest.approx(rewards.std())
    for alike in (np.ones(3), np.full(7, 0.1)):  # seven times 0.1 have a deviation of 1e-17
        with pytest.raises(UserError, match="their scale is undefined"):
            scale_of(np.arange(float(len(alike))), alike, "alike")


# --- what is refused ---


def test_no_order_no_reward_model(tmp_path, rows):
    equal = [row.model_copy(update={"reward": 1.0}) for row in rows]
    with pytest.raises(UserError, match="no prompt has two responses with different rewards"):
        made(tmp_path / "rm", tiny_decoder(tmp_path / "base"), equal)
    assert not (tmp_path / "rm").exists()


def test_a_classifier_with_two_labels_is_no_reward_model(llama, tmp_path):
    folder = shutil.copytree(llama, tmp_path / "two")
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "bad", "1": "good"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"--reward hf:two: the classifier .* has 2 labels \(bad, good\)"):
        check_reward_folder(folder, "--reward hf:two")


def test_a_language_model_is_no_reward_model(tmp_path):
    with pytest.raises(UserError, match="holds a LlamaForCausalLM, not a sequence classifier"):
        RewardModel.load(tiny_decoder(tmp_path / "lm"))


def test_a_damaged_reward_model_is_named(llama, tmp_path):
    folder = shutil.copytree(llama, tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"model\.safetensors can't be read as safetensors"):
        RewardModel.load(folder, what="--reward hf:x")
    (folder / "reward_model.json").write_text("{}")
    with pytest.raises(UserError, match="no record of a reward model"):
        read_reward_record(folder)
