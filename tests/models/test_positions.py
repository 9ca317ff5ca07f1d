"""What a model has positions for: one rule for all kinds of models, held when planning."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from family_models import family
from run_cli import SMALL, invoke
from tiny_models import tiny_encoder_decoder
from transformers import AutoConfig, BartConfig, GPT2Config, LEDConfig, RobertaConfig, T5Config

from rpo_bench.data.row import Prompt, Row
from rpo_bench.engine.inputs.ad_hoc import response_limit
from rpo_bench.engine.inputs.base_models import BaseModel
from rpo_bench.engine.inputs.dataset import AD_HOC_NEW_TOKENS, AdHocParts
from rpo_bench.engine.inputs.examples import check_heldout
from rpo_bench.errors import UserError
from rpo_bench.models.hf import HFModel
from rpo_bench.models.loading import load_tokenizer
from rpo_bench.models.positions import Positions, positions_of, token_limit
from rpo_bench.spec.sections import Decoding


@pytest.mark.parametrize(
    ("config", "limits"),
    [
        (GPT2Config(n_positions=96), Positions(96, 96)),
        (T5Config(), Positions(None, None)),
        (BartConfig(max_position_embeddings=32), Positions(32, 32)),
        (
            LEDConfig(max_encoder_position_embeddings=64, max_decoder_position_embeddings=16),
            Positions(64, 16),
        ),
    ],
    ids=["gpt2", "t5", "bart", "led"],
)
def test_the_limits_of_a_family(config: object, limits: Positions):
    assert positions_of(config) == limits


def test_a_classifier_that_counts_positions_from_its_padding_token_has_fewer():
    """RoBERTa's table of 514 positions begins at 1 + pad: 512 tokens fit."""
    assert token_limit(RobertaConfig(max_position_embeddings=514, pad_token_id=1)) == 512


@pytest.fixture(scope="module")
def bart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family("bart", tmp_path_factory.mktemp("positions") / "bart")


def limit_of(folder: Path) -> int:
    """The decoder's positions but for the one that what its targets begin with takes."""
    stated = positions_of(AutoConfig.from_pretrained(folder)).response
    assert stated is not None
    return stated - 1


def test_the_decoders_last_position_is_used_and_no_further(bart: Path):
    model, limit = HFModel.load(bart), limit_of(bart)
    prompt = Prompt(prompt_id="p", text="what is it ?")
    with pytest.raises(UserError, match=rf"{limit + 1} tokens doesn't fit the decoder .* for {limit}: lower"):
        model.generate([prompt], 1, Decoding(max_new_tokens=limit + 1), 0, 1)
    whole = [[5] * limit]
    assert len(model.token_logps([prompt.text], whole, 1)[0]) == limit
    with pytest.raises(UserError, match="doesn't fit the decoder"):
        model.token_logps([prompt.text], [[5] * (limit + 1)], 1)


def test_a_plan_says_it_before_anything_is_trained(bart: Path, tmp_path: Path):
    limit = limit_of(bart)
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "".join(
            f'{{"prompt": "what is {a} {b} ?", "response": "{a}", "reward": {len(a)}}}\n'
            for a in ("red", "blue", "green", "old") for b in ("cat", "dog", "house")
        )
    )  # fmt: skip
    asked = ["--data", str(rows), "--models", str(bart), "--methods", "sft", "--strengths", "1", *SMALL]
    ended = invoke(
        "train-and-eval",
        *asked,
        "--gen-kwargs",
        f"max_new_tokens={limit + 1}",
        "--output-path",
        tmp_path / "o",
    )
    assert ended.exit_code == 2
    assert f"the decoder of bart has positions for {limit}" in " ".join(ended.output.split())


def test_without_a_limit_asked_for_responses_get_what_the_decoder_has(bart: Path):
    tokenizer = load_tokenizer(str(bart))
    rows = (Row(prompt_id="p", prompt="what ?", response="yes", reward=1.0),)
    parts = AdHocParts("mine", rows, (Prompt(prompt_id="h", text="where ?"),))
    narrow = BaseModel("m", bart, "hash", True, 64, 1, response_limit=24)
    assert response_limit(parts, [(narrow, tokenizer)]) == 24
    endless = BaseModel("m", bart, "hash", True, None, 1)
    assert response_limit(parts, [(endless, tokenizer)]) == AD_HOC_NEW_TOKENS
    with pytest.raises(UserError, match="give --gen-kwargs max_new_tokens=24, or less"):
        check_heldout(parts.heldout, narrow, tokenizer, 25, "mine")


def test_relative_positions_have_no_limit(tmp_path: Path):
    model = HFModel.load(tiny_encoder_decoder(tmp_path / "t5"))
    assert model.positions == Positions(None, None)
    with torch.no_grad():
        assert len(model.token_logps(["a"], [[5] * 600], 1)[0]) == 600


def test_a_composed_model_has_the_limits_of_its_halves():
    half = SimpleNamespace(model_type="bert", max_position_embeddings=40)
    other = SimpleNamespace(model_type="gpt2", max_position_embeddings=20)
    config = SimpleNamespace(is_encoder_decoder=True, model_type="x", encoder=half, decoder=other)
    assert positions_of(config) == Positions(40, 20)
