"""A checkpoint that can't be used is refused with one sentence that says what is wrong with it."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_models import tiny_decoder, tiny_encoder_decoder, tiny_tokenizer

from rpo_bench.errors import UserError
from rpo_bench.models.hf import HFModel
from rpo_bench.models.prompting import prompt_ids


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_decoder(tmp_path / "model")


def refused(folder: Path | str, match: str, **options: object) -> None:
    with pytest.raises(UserError, match=match) as caught:
        HFModel.load(folder, **options)
    assert "\n" not in str(caught.value)


def test_missing_parts_are_named(folder: Path, tmp_path: Path):
    refused(tmp_path / "nowhere" / "else", "There is no model folder")
    refused(folder / "config.json", "is a file")
    (folder / "model.safetensors").rename(tmp_path / "weights")
    refused(folder, r"has no weights \(model.safetensors\)")
    for file in folder.iterdir():
        file.unlink()
    refused(folder, r"no config.json, weights \(model.safetensors\) and tokenizer \(tokenizer.json\)")


def test_a_folder_without_tokenizer(folder: Path):
    for file in folder.glob("tokenizer*"):
        file.unlink()
    refused(folder, "has no tokenizer")


def test_pickled_weights_are_refused_unless_asked_for(folder: Path):
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    refused(folder, "pickled.*--allow-pickle")
    model = HFModel.load(folder, allow_pickle=True)
    assert torch.equal(model.model.lm_head.weight, weights["lm_head.weight"])


def test_missing_shards_are_named(folder: Path):
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, "model-00001-of-00002.safetensors, which isn't in the folder")


def test_damaged_and_incomplete_weights(folder: Path):
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, r"lack model.layers.1.mlp.up_proj.weight \(1 in all\)")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    refused(folder, rf"it has {len(whole) // 2:,} bytes of {len(whole):,}: download it again")
    (folder / "model.safetensors").write_bytes(b"not weights at all")
    refused(folder, "model.safetensors can't be read as safetensors: it is damaged")
    (folder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    refused(folder, "is a Git LFS pointer, not the weights: download them with 'git lfs pull'")
    (folder / "model.safetensors").write_bytes(whole)
    (folder / "config.json").write_text("{")
    refused(folder, "can't be read")


@pytest.mark.parametrize("head", ["BertForMaskedLM", "BertModel"])
def test_a_model_that_reads_in_both_directions(folder: Path, head: str):
    """transformers would load it as a causal one without a word."""
    config = transformers.BertConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    getattr(transformers, head)(config).save_pretrained(folder)
    refused(folder, f"holds a {head}" if head.endswith("LM") else "is a bert model that reads in both direc")
    config.is_decoder = True
    transformers.BertLMHeadModel(config).save_pretrained(folder)
    logits = HFModel.load(folder).model(torch.tensor([[1, 2, 3], [1, 2, 4]])).logits
    assert torch.allclose(logits[0, :2], logits[1, :2])


def test_a_model_without_a_language_head(folder: Path):
    transformers.AutoModelForSequenceClassification.from_pretrained(folder).save_pretrained(folder)
    refused(folder, "holds a LlamaForSequenceClassification, which doesn't generate text")


def test_a_tokenizer_that_does_not_fit_its_model(folder: Path):
    tokenizer = tiny_tokenizer(append_eos=False)
    tokenizer.add_tokens(["extra"])
    tokenizer.save_pretrained(folder)
    refused(
        folder,
        r"the token 'extra' has the id (\d+), and the model has embeddings for ids below \1\.",
    )


def test_a_tokenizer_without_end_of_sequence(folder: Path):
    tokenizer = tiny_tokenizer(append_eos=False)
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    refused(folder, "no end-of-sequence token")


def test_half_precision_for_t5_is_refused(tmp_path: Path):
    folder = tiny_encoder_decoder(tmp_path / "t5", kind="t5")
    refused(folder, "--dtype float16.*use bfloat16 or float32", dtype="float16")
    assert HFModel.load(folder, dtype="bfloat16").model.dtype == torch.bfloat16
    refused(folder, "--dtype int4: choose", dtype="int4")
    refused(folder, "--device cuda:99", device="cuda:99")


def test_code_in_a_checkpoint_is_not_run_unless_asked_for(folder: Path):
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "code.Mine", "AutoModelForCausalLM": "code.M"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('this must not run')\n")
    refused(folder, "--trust-remote-code")


def test_an_adapter_whose_base_is_gone(tmp_path: Path):
    from peft import LoraConfig, get_peft_model

    base = HFModel.load(tiny_decoder(tmp_path / "base"))
    adapter = get_peft_model(base.model, LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear"))
    adapter.save_pretrained(tmp_path / "adapter")
    (tmp_path / "base").rename(tmp_path / "moved")
    refused(tmp_path / "adapter", "was trained on .*base, which doesn't exist")
    (tmp_path / "adapter" / "adapter_model.safetensors").unlink()
    refused(tmp_path / "adapter", "no weights")


def test_prompt_tokens_are_the_tokenizers_own_with_room_for_the_response():
    """Encoder: "cat </s>"; decoder-only: a final </s> would end the text before the response."""
    ends, plain = tiny_tokenizer(append_eos=True), tiny_tokenizer(append_eos=False)
    cat = plain.convert_tokens_to_ids("cat")
    assert prompt_ids(ends, "cat", is_encoder_decoder=True) == [cat, ends.eos_token_id]
    assert prompt_ids(ends, "cat", is_encoder_decoder=False) == [cat]
    assert prompt_ids(plain, "cat", is_encoder_decoder=False) == [cat]
    assert prompt_ids(plain, " ", is_encoder_decoder=False) == [plain.bos_token_id]
    assert prompt_ids(ends, " ", is_encoder_decoder=False) == [ends.eos_token_id]
