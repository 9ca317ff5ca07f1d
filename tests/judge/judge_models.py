"""A local judge whose answer is set by hand: the same probabilities of A and B, whatever it is asked."""

from pathlib import Path

import torch
from tiny_models import SPECIAL, tiny_tokenizer
from tokenizers import processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rpo_bench.models.hf import HFModel

CHAT = (
    "{{ bos_token }}{% for m in messages %}{{ ' [user] ' + m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}{{ ' [judge] ' }}{% endif %}"
)
WORDS = ("A", "B", "other", "what", "[user]", "[judge]")


def judging_tokenizer(chat: bool = False, adds_bos: bool = False) -> PreTrainedTokenizerFast:
    """Words; with a chat template that writes <s>, and with or without a tokenizer that adds it."""
    tokenizer = tiny_tokenizer(append_eos=False, words=WORDS)
    if adds_bos:
        bos = (tokenizer.bos_token, tokenizer.bos_token_id)
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[bos]
        )
    if chat:
        tokenizer.chat_template = CHAT
    return tokenizer


def judging_model(first: float, second: float, tokenizer: PreTrainedTokenizerFast | None = None) -> HFModel:
    """A model that answers A and B with these probabilities, and another word else."""
    tokenizer = tokenizer or judging_tokenizer()
    size = len(SPECIAL) + len(WORDS)
    config = LlamaConfig(
        vocab_size=size, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        max_position_embeddings=4096, pad_token_id=0, eos_token_id=1, bos_token_id=3,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    chances = torch.full((size,), 1e-9)
    for word, chance in (("A", first), ("B", second), ("other", 1 - first - second)):
        chances[tokenizer.convert_tokens_to_ids(word)] = max(chance, 1e-9)
    with torch.no_grad():  # every token is a vector of ones, which no layer changes; the head reads its first
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "norm" in name or "embed" in name else 0.0)
        model.lm_head.weight[:, 0] = chances.log()
    return HFModel(model, tokenizer, str(Path("set by hand")))
