"""A local model as a judge: label log-probabilities, for both architectures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from judge_worlds import pair
from tiny_models import tiny_decoder, tiny_encoder_decoder

from rpo_bench.errors import UserError
from rpo_bench.judge.backends.hf import HFJudge, label_logps
from rpo_bench.judge.prompts import load_template
from rpo_bench.judge.running import plan_of, run_judge
from rpo_bench.judge.storage import open_store
from rpo_bench.models.hf import HFModel


@pytest.mark.parametrize("make", [tiny_decoder, tiny_encoder_decoder])
def test_probabilities_are_the_softmax_of_the_two_labels_logits(tmp_path, make):
    """Against a forward pass of transformers itself, prompt by prompt, without padding."""
    model = HFModel.load(make(tmp_path, scale=10.0))
    prompts = ["what is the cat", "is red good or bad ?", "no"]
    logps = label_logps(model, prompts, ("yes", "no"))
    found = np.exp(logps) / np.exp(logps).sum(axis=1, keepdims=True)
    assert found.shape == (3, 2)
    ids = [model.tokenizer(label, add_special_tokens=False).input_ids[0] for label in ("yes", "no")]
    for row, text in zip(found, prompts, strict=True):
        shown = torch.tensor([model.encode(text)])
        more = {"decoder_input_ids": torch.zeros(1, 1, dtype=torch.long)} if model.is_encoder_decoder else {}
        with torch.no_grad():
            logits = model.model(shown, **more).logits[0, -1, ids]
        np.testing.assert_allclose(row, torch.softmax(logits, -1).numpy(), atol=1e-5)


def test_labels_that_the_tokenizer_does_not_tell_apart_are_refused(tmp_path):
    model = HFModel.load(tiny_decoder(tmp_path))
    with pytest.raises(UserError, match="doesn't distinguish 'A' and 'B'"):
        label_logps(model, ["what"])


def test_a_question_that_does_not_fit_the_context_is_refused_with_what_to_do(tmp_path, monkeypatch):
    """The decoder reads 128 tokens; the package's own template alone has more words."""
    monkeypatch.setattr("rpo_bench.judge.backends.hf.LABELS", ("yes", "no"))
    judge = HFJudge(HFModel.load(tiny_decoder(tmp_path / "model")), load_template("logprobs"), "0" * 64)
    with (
        open_store(tmp_path / "judge", judge.identity) as store,
        pytest.raises(UserError, match="shorter --judge-template"),
    ):
        run_judge(judge, plan_of([pair(0, "red cat " * 40, "blue dog")]), store)


def test_the_embedded_judge_is_read_as_it_was():
    """Its tokenizer knows no line's end, and its labels have one spelling each: nothing is added to it."""
    model = HFModel.load(Path(__file__).resolve().parents[2] / "tasks/civil_qa/models/judge")
    texts = [load_template("embedded").render("what is a wolf ?", "an animal .", "a fool .")]
    ids = [model.tokenizer(label, add_special_tokens=False).input_ids[0] for label in ("A", "B")]
    np.testing.assert_array_equal(label_logps(model, texts), model.next_token_logps(texts, ids, 32))
