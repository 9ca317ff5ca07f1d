"""Tiny real models with word-level tokenizers, for tests: a folder each, as save_pretrained writes them."""

import os
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

#: Added to the seed of every random model: tests must hold for any (`RPO_BENCH_TEST_SEED=1 make test`).
SEED = int(os.environ.get("RPO_BENCH_TEST_SEED", "0"))
SPECIAL = ("<pad>", "</s>", "<unk>", "<s>")
TEXT = """
what who where is the a of and red blue green good bad big small one two three yes no maybe sure
thanks please sorry idiot stupid cat dog house river city ? . , !
"""
WORDS = tuple(TEXT.split())
PAD, EOS, UNK, BOS = range(4)


def tiny_tokenizer(
    *, append_eos: bool, padding_side: str = "right", words: tuple[str, ...] = WORDS
) -> PreTrainedTokenizerFast:
    """Words separated by spaces; with ``append_eos`` it ends every text by </s>, as T5's does."""
    vocabulary = {word: index for index, word in enumerate(SPECIAL + words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if append_eos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", EOS)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        bos_token="<s>",
        padding_side=padding_side,
    )


def tiny_decoder(folder: Path, seed: int = 0, kind: str = "llama", scale: float = 1.0) -> Path:
    """Saves a decoder-only model (``llama`` or ``gpt2``, about 10 k parameters) to ``folder``.

    ``scale`` multiplies the weights' standard deviation (0.02 by default is almost uniform over words).
    """
    torch.manual_seed(SEED + seed)
    common = {
        "vocab_size": len(SPECIAL + WORDS),
        "pad_token_id": PAD,
        "eos_token_id": EOS,
        "bos_token_id": BOS,
    }
    if kind == "llama":
        config = _llama(len(SPECIAL + WORDS), 0.02 * scale)
        return _save(folder, LlamaForCausalLM(config), tiny_tokenizer(append_eos=False))
    config = GPT2Config(
        **common, n_embd=16, n_layer=2, n_head=2, n_positions=128, initializer_range=0.02 * scale
    )
    return _save(folder, GPT2LMHeadModel(config), tiny_tokenizer(append_eos=False))


def tiny_encoder_decoder(folder: Path, seed: int = 0, kind: str = "t5", scale: float = 1.0) -> Path:
    """Saves an encoder-decoder model (``t5`` or ``bart``, about 10 k parameters) to ``folder``."""
    torch.manual_seed(SEED + seed)
    common = {"vocab_size": len(SPECIAL + WORDS), "pad_token_id": PAD, "eos_token_id": EOS, "d_model": 16}
    if kind == "t5":
        config = T5Config(
            **common,
            d_kv=8,
            d_ff=32,
            num_layers=2,
            num_heads=2,
            decoder_start_token_id=PAD,
            initializer_factor=scale,
        )
        return _save(folder, T5ForConditionalGeneration(config), tiny_tokenizer(append_eos=True))
    config = BartConfig(
        **common,
        bos_token_id=BOS,
        encoder_layers=2,
        decoder_layers=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        max_position_embeddings=128,
        decoder_start_token_id=EOS,
        forced_eos_token_id=None,
        init_std=0.02 * scale,
    )
    return _save(folder, BartForConditionalGeneration(config), tiny_tokenizer(append_eos=True))


def tiny_judge(folder: Path) -> Path:
    """Saves a decoder-only model that says A or B, nothing else, and knows nothing of right and wrong."""
    torch.manual_seed(SEED)
    words = (*WORDS, "A", "B", "<|A", "<|B", "<|")
    model = LlamaForCausalLM(_llama(len(SPECIAL + words), 0.4))
    labels = [len(SPECIAL + words) - i for i in (5, 4)]
    with torch.no_grad():  # the first number of all states is large, and the head reads it for both labels
        model.model.embed_tokens.weight[:, 0] = 4.0
        for layer in model.model.layers:  # and no layer writes there
            layer.self_attn.o_proj.weight[0] = 0.0
            layer.mlp.down_proj.weight[0] = 0.0
        model.lm_head.weight[:, 0] = 0.0
        model.lm_head.weight[labels, 0] = 8.0
    return _save(folder, model, tiny_tokenizer(append_eos=False, words=words))


def _llama(vocabulary: int, deviation: float) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary,
        pad_token_id=PAD,
        eos_token_id=EOS,
        bos_token_id=BOS,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        initializer_range=deviation,
    )


def _save(folder: Path, model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
