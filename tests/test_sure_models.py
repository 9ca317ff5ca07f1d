"""What is built into the tests' models is what comes out of them, with the margin that is promised."""

import pytest
import torch
from sure_models import MARGIN, chat_model_saying, train_until, word_model_saying
from transformers import AutoModelForCausalLM, AutoTokenizer


def margins(logits: torch.Tensor) -> torch.Tensor:
    best = logits.topk(2).values
    return best[..., 0] - best[..., 1]


@pytest.mark.parametrize("text", ['{"verdict": "A"}', "well, well"])
def test_a_chat_model_says_its_text_and_stops(tmp_path, text):
    folder = chat_model_saying(tmp_path / "chat", text)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    asked = [{"role": "user", "content": f"What is {text}? Naïve 🐋"}]
    ids = tokenizer.apply_chat_template(asked, return_tensors="pt", return_dict=True)
    said = model.generate(**ids, do_sample=True, max_new_tokens=20)[0, ids.input_ids.shape[1] :]
    assert tokenizer.decode(said, skip_special_tokens=True) == text
    assert said[-1] == tokenizer.eos_token_id
    assert margins(model(**ids).logits).min() > 0.99 * MARGIN


def test_words_follow_words(tmp_path):
    folder = word_model_saying(tmp_path / "words", {"?": "yes", "yes": "good", "good": "."})
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("what is the cat ?", return_tensors="pt").input_ids
    said = model.generate(ids, do_sample=True, max_new_tokens=20)[0, ids.shape[1] :]
    assert tokenizer.decode(said) == "yes good . </s>"


def test_training_ends_below_the_bound_or_fails():
    layer = torch.nn.Linear(1, 1)
    assert train_until(layer, lambda: layer(torch.ones(1)).square().sum(), 1e-4) < 1e-4
    with pytest.raises(AssertionError, match=r"is 1 after 3 steps, 0\.5 was asked for"):
        train_until(layer, lambda: 0 * layer(torch.ones(1)).sum() + 1, 0.5, most=3)
