"""An encoder-decoder model's own beginning of targets, by models trained on what their tokenizers write."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from family_models import family_tokenizer
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

from rpo_bench.data.row import Prompt, Row
from rpo_bench.errors import UserError
from rpo_bench.models.beginnings import check_beginnings
from rpo_bench.models.hf import HFModel
from rpo_bench.models.tokenize import tokenize_rows
from rpo_bench.spec.sections import Decoding
from trainers.inputs import TokenLayout
from trainers.sampling import sample

SAID = {"what is the river ?": "it is good thanks", "where is the cat ?": "no stupid idiot"}
LANGUAGE = "<language>"


@dataclass(frozen=True)
class Trained:
    """A folder with a model that says what ``SAID`` has, and the tokens that its targets begin with."""

    folder: Path
    beginning: tuple[int, ...]


def tokenizer_of(kind: str) -> PreTrainedTokenizerFast:
    """ "post-processor": writes <s> … </s> around every text; the others write nothing before it."""
    if kind == "post-processor":
        return family_tokenizer("bart")
    tokenizer = family_tokenizer("t5")
    tokenizer.add_special_tokens({"additional_special_tokens": [LANGUAGE]})
    return tokenizer


def train(model: Any, tokenizer: PreTrainedTokenizerFast, beginning: tuple[int, ...]) -> None:
    """To a margin, on targets as the tokenizer writes them behind the decoder's start.

    What follows the first word it learns behind targets without their beginning as well: a large model finds
    back by itself, and only the first token is improbable then.
    """
    encoded = tokenizer(list(SAID), return_tensors="pt", padding=True)
    prompts = {"input_ids": encoded.input_ids, "attention_mask": encoded.attention_mask}
    texts = [tokenizer(text, add_special_tokens=False).input_ids for text in SAID.values()]
    rows = [[*beginning, *ids, tokenizer.eos_token_id] for ids in texts]
    width = max(map(len, rows))
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in rows])
    start = model.config.decoder_start_token_id
    without = torch.tensor([[start, *row[len(beginning) :]] + [0] * (width - len(row)) for row in rows])[
        :, :-1
    ]
    later = torch.tensor([[-100, *row[len(beginning) + 1 :]] + [-100] * (width - len(row)) for row in rows])
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for _ in range(300):
        loss = model(**prompts, labels=labels).loss
        loss = loss + model(**prompts, decoder_input_ids=without, labels=later).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if float(loss.detach()) < 1e-2:
            break
    assert float(loss.detach()) < 2e-2
    model.eval()


@pytest.fixture(scope="module", params=["post-processor", "forced", "none"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    kind, folder = request.param, tmp_path_factory.mktemp("trained")
    tokenizer = tokenizer_of(kind)
    forced = tokenizer.convert_tokens_to_ids(LANGUAGE) if kind == "forced" else None
    beginning = {"post-processor": (tokenizer.bos_token_id,), "forced": (forced,), "none": ()}[kind]
    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=len(tokenizer), d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=64,
        decoder_ffn_dim=64, encoder_attention_heads=2, decoder_attention_heads=2, max_position_embeddings=64,
        dropout=0.0, bos_token_id=tokenizer.bos_token_id, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id, decoder_start_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=None, forced_bos_token_id=None,
    )  # fmt: skip
    model = BartForConditionalGeneration(config)
    train(model, tokenizer, beginning)
    model.generation_config.forced_bos_token_id = forced
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Trained(folder, beginning)


def rows_of() -> list[Row]:
    return [Row(prompt=p, response=r, reward=0.0, prompt_id=p) for p, r in SAID.items()]


def test_the_most_likely_sample_is_the_trained_text_and_its_log_prob_near_zero(trained: Trained):
    model = HFModel.load(trained.folder, device="cpu")
    assert TokenLayout.of(model.model, None, model.tokenizer).beginning == trained.beginning
    prompts = [Prompt(prompt_id=str(i), text=text) for i, text in enumerate(SAID)]
    found = model.generate(prompts, 1, Decoding(max_new_tokens=40, top_k=1), seed=0, batch_size=2)
    assert [one.text for one in found] == list(SAID.values())
    assert not any(set(one.token_ids[:-1]) & set(trained.beginning) for one in found)
    logps = model.token_logps([p.text for p in prompts], [one.token_ids for one in found], 2)
    assert all(float(one.sum()) > -0.5 for one in logps)
    rows = tokenize_rows(rows_of(), model.tokenizer, 64, is_encoder_decoder=True)
    assert [tuple(ids) for ids in rows.responses] == [one.token_ids for one in found]


def test_online_rollouts_and_training_passes_have_the_same_layout(trained: Trained):
    """Rollouts of the training engine say the trained text too, with the log-probs of a whole pass."""
    model = HFModel.load(trained.folder, device="cpu")
    layout = TokenLayout.of(model.model, model.pad_id, model.tokenizer)
    ids = [model.encode(text) for text in SAID]
    with torch.no_grad():
        found = sample(model.model, ids, 1, layout, model.end_ids, torch.full((2, 40), 0.5).double(), 1.0)
    assert model.texts(found.responses) == list(SAID.values())
    again = model.token_logps(list(SAID), found.responses, 2)
    for sampled, whole in zip(found.logps, again, strict=True):
        assert torch.allclose(torch.as_tensor(sampled).float(), torch.as_tensor(whole), atol=1e-4)


def test_a_layout_that_the_reference_was_not_trained_on_is_refused(trained: Trained):
    """What is lost with the tokenizer's post-processor or the setting is found out by the first tokens."""
    model = HFModel.load(trained.folder, device="cpu")
    rows = tokenize_rows(rows_of(), model.tokenizer, 64, is_encoder_decoder=True)
    right = TokenLayout.of(model.model, model.pad_id, model.tokenizer)
    check_beginnings(model.model, rows, right, "m")
    if not trained.beginning:
        return
    with torch.no_grad():  # the margin of a model that was trained for long
        model.model.lm_head.weight = torch.nn.Parameter(model.model.lm_head.weight * 20)
    with pytest.raises(UserError, match="almost no probability under m"):
        check_beginnings(model.model, rows, TokenLayout(right.pad_id, right.decoder_start_id), "m")
    check_beginnings(model.model, rows, right, "m")


def test_a_multilingual_model_has_to_say_what_it_writes():
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    tokenizer = tokenizer_of("none")
    config = M2M100Config(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16,
        decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2, decoder_start_token_id=1,
        eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    model = M2M100ForConditionalGeneration(config)
    with pytest.raises(UserError, match="set forced_bos_token_id in its generation_config"):
        TokenLayout.of(model, 0, tokenizer)
    model.generation_config.forced_bos_token_id = tokenizer.convert_tokens_to_ids(LANGUAGE)
    assert TokenLayout.of(model, 0, tokenizer).beginning == (tokenizer.convert_tokens_to_ids(LANGUAGE),)
