"""Tiny models of every family that matters, each with the kind of tokenizer that the family has.

The tokenizers are trained on the spot; special tokens, their placing and chat templates are the families'.
"""

from pathlib import Path
from typing import Any

import torch
from tiny_models import SEED
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

DECODERS = ("gpt2", "llama", "qwen2", "qwen3", "llama-chat")
ENCODER_DECODERS = ("t5", "bart")
FAMILIES = (*DECODERS, *ENCODER_DECODERS)
CHAT = ("qwen2", "qwen3", "llama-chat")

TEXTS = [
    f"{question} is the {topic} ? {answer} ."
    for question in ("what", "where", "why", "how good")
    for topic in ("river", "city", "house", "cat", "dog", "green garden")
    for answer in ("it is good thanks", "no stupid idiot", "maybe yes", "sure it is big")
]

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
#: As Llama 3's: the template writes the beginning-of-sequence itself, and today's date unless told one.
LLAMA3 = (
    "{{ bos_token }}{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}"
    "{% endif %}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' "
    "+ m['content'] + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}{# {{ date_string }} #}"
)


def family(kind: str, folder: Path, seed: int = 0) -> Path:
    """Saves a model of the family with random weights, about 20 k parameters, as save_pretrained does."""
    tokenizer = family_tokenizer(kind)
    torch.manual_seed(SEED + seed)
    model = _model(kind, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def family_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """The family's tokenizer."""
    return {
        "gpt2": _gpt2, "llama": _llama, "llama-chat": _llama_chat, "qwen2": _qwen, "qwen3": _qwen, "t5": _t5,
        "bart": _bart,
    }[kind]()  # fmt: skip


def _model(kind: str, tokenizer: PreTrainedTokenizerFast) -> Any:
    size = len(tokenizer)
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    rope = {
        "vocab_size": size,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 128,
        "initializer_range": 0.2,
        "bos_token_id": tokenizer.bos_token_id,
        **ids,
    }
    if kind in ("llama", "llama-chat"):
        return LlamaForCausalLM(LlamaConfig(**rope))
    if kind == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**rope))
    if kind == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(**rope, head_dim=8, tie_word_embeddings=True))
    if kind == "gpt2":
        config = GPT2Config(
            vocab_size=size, n_embd=16, n_layer=2, n_head=2, n_positions=128, bos_token_id=0, eos_token_id=0
        )
        return GPT2LMHeadModel(config)
    if kind == "t5":
        config = T5Config(
            vocab_size=size + 4, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2,
            decoder_start_token_id=0, feed_forward_proj="gated-gelu", tie_word_embeddings=False, **ids,
        )  # fmt: skip
        return T5ForConditionalGeneration(config)
    config = BartConfig(
        vocab_size=size, d_model=16, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=32,
        decoder_ffn_dim=32, encoder_attention_heads=2, decoder_attention_heads=2,
        max_position_embeddings=128, bos_token_id=0, decoder_start_token_id=2, forced_eos_token_id=2, **ids,
    )  # fmt: skip
    return BartForConditionalGeneration(config)


def _byte_pairs(special: list[str], size: int = 320) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _gpt2() -> PreTrainedTokenizerFast:
    """One special token for everything, and no padding token."""
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=_byte_pairs([end]), bos_token=end, eos_token=end, unk_token=end
    )


def _llama() -> PreTrainedTokenizerFast:
    """Every text begins with BOS; no padding token."""
    backend = _byte_pairs(["<s>", "</s>"])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")


def _llama_chat() -> PreTrainedTokenizerFast:
    special = [
        "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
    ]  # fmt: skip
    backend = _byte_pairs(special)
    backend.post_processor = processors.TemplateProcessing(
        single=f"{special[0]} $A", pair=f"{special[0]} $A {special[0]} $B", special_tokens=[(special[0], 0)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=special[0], eos_token=special[1], extra_special_tokens=special[2:]
    )
    tokenizer.chat_template = LLAMA3
    return tokenizer


def _qwen() -> PreTrainedTokenizerFast:
    """No BOS; a turn ends by <|im_end|>, which is the tokenizer's EOS; padding is <|endoftext|>."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_pairs(special), pad_token=special[0], eos_token=special[2],
        extra_special_tokens=[special[1]],
    )  # fmt: skip
    tokenizer.chat_template = CHATML
    return tokenizer


def _t5() -> PreTrainedTokenizerFast:
    """A unigram vocabulary; every text ends by </s>; the model embeds more ids than there are tokens."""
    special = ["<pad>", "</s>", "<unk>"]
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=80, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator(TEXTS, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


def _bart() -> PreTrainedTokenizerFast:
    """<s> … </s> around every text, as RoBERTa's."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    backend = _byte_pairs(special)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
