"""Adapters whose base model they don't suit are refused by shapes alone, before anything is loaded."""

import functools
import json
from pathlib import Path

import pytest
import torch
from family_models import family
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from rpo_bench.errors import UserError
from rpo_bench.models.adapter_checks import adapter_base, check_adapter_fits
from rpo_bench.models.hf import HFModel
from trainers.fitting import with_adapters
from trainers.settings import Lora


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    base = AutoModelForCausalLM.from_pretrained(family("llama", tmp_path / "llama"))
    lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    get_peft_model(base, lora).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_an_adapter_fits_the_model_that_it_was_trained_on(adapter: Path):
    base = adapter_base(adapter, allow_pickle=False)
    assert Path(base).name == "llama"
    check_adapter_fits(adapter, Path(base))


def test_another_family_has_no_such_layers(adapter: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"doesn't fit .*gpt2: Target modules .* not found in the base") as e:
        check_adapter_fits(adapter, family("gpt2", tmp_path / "gpt2"))
    assert "\n" not in str(e.value)


def test_another_size_has_them_in_another_shape(adapter: Path, tmp_path: Path):
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "llama")
    model.config.hidden_size = 32
    LlamaForCausalLM(model.config).save_pretrained(tmp_path / "wide")
    with pytest.raises(UserError, match=r"q_proj\.lora_A\.weight is 2 x 16 there and 2 x 32 on this model"):
        check_adapter_fits(adapter, tmp_path / "wide")


def test_a_base_model_that_moved_is_named(adapter: Path):
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(adapter.parent / "gone")
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"was trained on .*gone, which doesn't exist"):
        adapter_base(adapter, allow_pickle=False)


KEEP = {"plain": {}, "modules": {"modules_to_save": ["lm_head"]}, "dora": {"use_dora": True}}
CHANGE = {
    "bias": {"bias": "lora_only"},
    "all-bias": {"bias": "all"},
    "pissa": {"init_lora_weights": "pissa"},
    "olora": {"init_lora_weights": "olora"},
}


@pytest.mark.parametrize("kind", [*KEEP, *CHANGE])
def test_the_reference_of_an_adapter_is_its_base_whatever_the_adapter_changed(kind: str, tmp_path: Path):
    """Trained ones: what can be trained is moved far away, and the reference stays the folder's model."""
    source = AutoModelForCausalLM.from_pretrained(family("llama", tmp_path / "llama"))
    source.config.attention_bias = True  # so that there are biases to train
    torch.manual_seed(0)
    LlamaForCausalLM(source.config).save_pretrained(tmp_path / "llama")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "llama")
    settings = {"r": 2, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
    adapted = get_peft_model(model, LoraConfig(**settings, **(KEEP | CHANGE)[kind]))
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.5)
    adapted.save_pretrained(tmp_path / "adapter")
    loaded = HFModel.load(tmp_path / "adapter")
    prompts, said = ["what is the city ?"], [[5, 6, 7]]
    base = HFModel.load(tmp_path / "llama").token_logps(prompts, said, 1)[0]
    assert (loaded.token_logps(prompts, said, 1)[0] != base).any()
    if kind in KEEP:
        assert loaded.without_adapter().token_logps(prompts, said, 1)[0].tolist() == base.tolist()
    else:  # the base has to be loaded
        assert loaded.adapter_of is None
        with pytest.raises(UserError, match="changed its base"):
            loaded.without_adapter()


def test_training_refuses_adapters_that_change_the_model_beneath_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = AutoModelForCausalLM.from_pretrained(family("llama", tmp_path / "llama"))
    monkeypatch.setattr("peft.LoraConfig", functools.partial(LoraConfig, init_lora_weights="pissa"))
    with pytest.raises(UserError, match="isn't the model that they were put on"):
        with_adapters(model, Lora(rank=2))
