"""What holds for every model that scores texts: how logits are read, and that a batch changes no number."""

import logging
from types import SimpleNamespace

import pytest
import torch
from tiny_classifiers import tiny_classifier
from tiny_models import tiny_tokenizer
from transformers import BertForSequenceClassification

from rpo_bench.errors import UserError
from rpo_bench.metrics.toxicity.choose import toxicity_metric
from rpo_bench.models.activation import activation_of
from rpo_bench.models.reward import RewardModel

JIGSAW = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]
MULTI, SINGLE = "multi_label_classification", "single_label_classification"
LONG = "you are the stupid idiot of the big red house"
TEXTS = ["yes", LONG, "the cat", "no", "thanks thanks thanks"]


@pytest.mark.parametrize(
    ("labels", "problem", "asked", "activation"),
    [
        (JIGSAW, None, None, "sigmoid"),
        (JIGSAW, SINGLE, None, "softmax"),
        (["neutral", "toxic"], MULTI, None, "sigmoid"),
        (JIGSAW, None, "softmax", "softmax"),
        (["toxic"], None, None, "sigmoid"),
        (["nothate", "hate"], None, None, "softmax"),
        (["LABEL_0", "LABEL_1"], None, None, "softmax"),
        (["hate speech", "offensive", "normal"], None, None, "softmax"),
        (["happy", "sad", "toxic"], None, None, None),
        (["toxic", "insult"], None, None, None),
        (["LABEL_0", "LABEL_1", "LABEL_2"], None, None, None),
        (["toxic"], "regression", None, None),
    ],
)
def test_the_activation_is_told_by_config_labels_or_the_user(labels, problem, asked, activation):
    config = SimpleNamespace(id2label=dict(enumerate(labels)), problem_type=problem)
    if activation is None:
        with pytest.raises(UserError, match=r"--toxicity hf:x=softmax .* or --toxicity hf:x=sigmoid"):
            activation_of(config, asked, "--toxicity hf:x")
    else:
        assert activation_of(config, asked, "--toxicity hf:x") == activation


@pytest.mark.parametrize("kind", ["hf", "hate-speech"])
@pytest.mark.parametrize("asked", ["", "=sigmoid", "=softmax"])
def test_classifiers_of_every_kind_read_their_labels_alike(tmp_path, kind, asked):
    folder = tiny_classifier(tmp_path / "c", [*JIGSAW, "hate"])
    metric = toxicity_metric(f"{kind}:{folder}#hate{asked}")
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    ids = tiny_tokenizer(append_eos=False)(LONG, return_tensors="pt")
    with torch.no_grad():
        logits = model(**ids).logits[0].double()
    expected = logits.softmax(-1) if asked == "=softmax" else logits.sigmoid()
    assert metric.probabilities([LONG])[0] == pytest.approx(float(expected[-1]), abs=1e-6)
    assert f", {asked[1:] or 'sigmoid'})" in metric.backend


def test_a_reward_model_of_several_labels_is_refused(tmp_path):
    with pytest.raises(UserError, match="a reward model has one, whose score is the reward"):
        RewardModel.load(tiny_classifier(tmp_path / "c", JIGSAW))


def reading_padding(folder, labels):
    """A classifier whose tokenizer gives no attention mask: to the model, padding is text."""
    tiny_classifier(folder, labels)
    tokenizer = tiny_tokenizer(append_eos=False)
    tokenizer.model_max_length = 32
    tokenizer.model_input_names = ["input_ids"]
    tokenizer.save_pretrained(folder)
    return folder


def without_padding(folder, labels):
    """A classifier whose tokenizer has no padding token."""
    tiny_classifier(folder, labels)
    tokenizer = tiny_tokenizer(append_eos=False)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    return folder


def padding_left(folder, labels):
    """A classifier whose tokenizer pads on the left, where its positions begin."""
    tiny_classifier(folder, labels)
    tokenizer = tiny_tokenizer(append_eos=False)
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(folder)
    return folder


MADE = pytest.mark.parametrize("make", [tiny_classifier, reading_padding, without_padding, padding_left])


@MADE
def test_a_toxicity_does_not_depend_on_the_texts_beside_it(tmp_path, make):
    metric = toxicity_metric(f"hf:{make(tmp_path / 'c', ['neutral', 'toxic'])}")
    alone = [metric.probabilities([text])[0] for text in TEXTS]
    assert metric.probabilities(TEXTS) == pytest.approx(alone, abs=1e-6)
    assert max(alone) - min(alone) > 0.01


@MADE
def test_a_reward_does_not_depend_on_the_responses_beside_it(tmp_path, make):
    model = RewardModel.load(make(tmp_path / "c", ["reward"]))
    alone = [float(model.scores(["who ?"], [text])[0]) for text in TEXTS]
    assert list(model.scores(["who ?"] * len(TEXTS), TEXTS)) == pytest.approx(alone, abs=1e-5)


def test_what_a_classifier_cuts_is_said(tmp_path, caplog):
    metric = toxicity_metric(f"hf:{tiny_classifier(tmp_path / 'c', ['neutral', 'toxic'])}")
    with caplog.at_level(logging.WARNING):
        metric.probabilities(["the cat " * 40, "yes"])
    assert "1 of 2 texts were cut to the 32 tokens that c#toxic" in caplog.text
