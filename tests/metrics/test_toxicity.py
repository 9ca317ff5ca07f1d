"""Toxicity by real classifiers: sensible on plain cases, and unscored rather than clean when in doubt."""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from needed import needed
from tiny_classifiers import tiny_classifier
from tiny_models import tiny_tokenizer
from transformers import BertForSequenceClassification

from rpo_bench.errors import UserError
from rpo_bench.metrics.protocol import Unscored
from rpo_bench.metrics.suite import run_metrics
from rpo_bench.metrics.toxicity.choose import Toxicity, toxicity_metric
from rpo_bench.metrics.toxicity.classifier import toxic_label

needed("profanity_check", "alt-profanity-check isn't installed")


def test_profanity_tells_insults_from_courtesy_and_names_itself(build):
    samples = build([["you are a stupid fucking idiot", "thank you very much , have a nice day", " "]])
    metric = toxicity_metric("profanity")
    rude, kind, empty = metric.score([], samples)
    assert rude > 0.9
    assert kind < 0.2
    assert empty == Unscored("empty text")
    assert metric.backend == f"alt-profanity-check {version('alt-profanity-check')} (profanity, not harm)"


def test_a_thousand_texts_are_one_batch(build, monkeypatch):
    """Alone each takes as long as a few hundred together."""
    import profanity_check

    real, sizes = profanity_check.predict_prob, []
    monkeypatch.setattr(
        profanity_check, "predict_prob", lambda texts: sizes.append(len(texts)) or real(texts)
    )
    samples = build([[f"number {i} is not a very nice house in the city" for i in range(1000)]])
    assert len(toxicity_metric("profanity").score([], samples)) == 1000
    assert sizes == [1000]


def test_without_the_package_everything_is_unscored_with_that_reason(build, monkeypatch):
    monkeypatch.setitem(sys.modules, "profanity_check", None)
    found = toxicity_metric("profanity").score([], build([["damn"]]))
    assert found == [Unscored("alt-profanity-check isn't installed: pip install 'rpo-bench[profanity]'")]


def test_none_is_unscored_and_an_unknown_backend_an_error(build):
    assert toxicity_metric("none").score([], build([["a", ""]])) == [
        Unscored("toxicity is switched off"),
        Unscored("empty text"),
    ]
    with pytest.raises(UserError, match=r"--toxicity profanty: no such classifier. Did you mean 'profanity'"):
        toxicity_metric("profanty")


class Known(Toxicity):
    """Reads the probability out of the text."""

    backend = "known"

    def probabilities(self, texts):
        return [Unscored("failed") if text == "?" else float(text) for text in texts]


def test_the_four_summaries_by_hand(build, prompts):
    """Prompts (.9, .1), (.2, .4), (.5, .5): mean .4333; share ≥ .5: (½ + 0 + 1)/3; maxima .9 .4 .5;
    two of three prompts have a toxic sample."""
    samples = build([["0.9", "0.1"], ["0.2", "0.4"], ["0.5", "0.5"]])
    found = run_metrics([Known()], prompts, samples, "id").metrics
    assert found["toxicity"].interval.point == pytest.approx(2.6 / 6)
    assert found["toxic_share"].interval.point == pytest.approx(0.5)
    assert found["expected_max_toxicity"].interval.point == pytest.approx(0.6)
    assert found["toxic_prompt_share"].interval.point == pytest.approx(2 / 3)
    assert found["toxic_prompt_share"].interval.method == "wilson"
    assert found["expected_max_toxicity"].unit == "probability, n = 2"


def test_the_maximum_of_n_is_not_taken_over_fewer(build, prompts):
    """A failure leaves the mean with 3 samples of 2 prompts, and the maximum with 1 prompt."""
    samples = build([["0.9", "?"], ["0.2", "0.4"]])
    found = run_metrics([Known()], prompts, samples, "id").metrics
    assert found["toxicity"].interval.point == pytest.approx((0.9 + 0.3) / 2)
    assert found["toxicity"].scored == 3
    assert found["toxicity"].unscored == {"failed": 1}
    assert found["expected_max_toxicity"].interval.point == pytest.approx(0.4)
    assert found["expected_max_toxicity"].interval.n == 1


def test_zero_of_n_toxic_has_a_bound(build, prompts):
    found = run_metrics([Known()], prompts, build([["0.1", "0.2"]] * 50), "id").metrics
    for name in ("toxic_share", "toxic_prompt_share"):
        interval = found[name].interval
        assert (interval.point, interval.low, interval.method) == (0, 0, "rule-of-three")
        assert interval.high == pytest.approx(1 - 0.05 ** (1 / 50))


@pytest.fixture
def classifier(tmp_path: Path):
    """Saves a tiny BERT classifier and its tokenizer."""

    def make(labels: list[str], **options: object) -> Path:
        return tiny_classifier(tmp_path, labels, **options)

    return make


@pytest.mark.parametrize("independent", [False, True])
def test_any_sequence_classifier_from_a_folder(classifier, build, independent: bool):
    folder = classifier(
        ["neutral", "toxic"], problem_type="multi_label_classification" if independent else None
    )
    metric = toxicity_metric(f"hf:{folder}")
    texts = ["you are an idiot", "thanks", "the cat is " * 40, "who ?"]
    found = metric.score([], build([texts]))
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = tiny_tokenizer(append_eos=False)
    for text, probability in zip(texts, found, strict=True):
        ids = tokenizer(text.strip(), truncation=True, max_length=32, return_tensors="pt")
        with torch.no_grad():
            logits = model(**ids).logits[0].double()
        expected = logits.sigmoid()[1] if independent else logits.softmax(-1)[1]
        assert probability == pytest.approx(float(expected), abs=1e-6)
    assert "#toxic (" in metric.backend
    assert np.std(found) > 0.01


def test_the_toxic_label_is_found_or_asked_for(classifier, build):
    assert toxic_label({0: "not_toxic", 1: "toxic"}, None, "x") == 1
    assert toxic_label({0: "toxic", 1: "severe_toxic", 2: "insult"}, None, "x") == 0
    assert toxic_label({0: "non-hate", 1: "hate"}, None, "x") == 1
    assert toxic_label({0: "LABEL_0", 1: "LABEL_1"}, None, "x") == 1
    assert toxic_label({0: "LABEL_0"}, None, "x") == 0
    assert toxic_label({0: "a", 1: "B"}, "b", "x") == 1
    with pytest.raises(UserError, match="hf:x#LABEL, one of happy, sad"):
        toxic_label({0: "happy", 1: "sad"}, None, "x")
    folder = classifier(["calm", "angry"])
    assert toxicity_metric(f"hf:{folder}#angry").score([], build([["thanks"]]))[0] > 0
    with pytest.raises(UserError, match="no model folder"):
        toxicity_metric(f"hf:{folder}/elsewhere")
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="is damaged or truncated"):
        toxicity_metric(f"hf:{folder}#angry")
