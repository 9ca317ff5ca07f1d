"""The models and texts of the offline benchmark, made with random weights and random words."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Size:
    """One of the model sizes; lengths are of prompts and responses together, in tokens.

    ``said`` is the response's share of them.
    """

    hidden: int
    layers: int
    vocabulary: int
    batch: int
    steps: int
    shortest: int
    longest: int
    encoder_decoder: bool = False
    said: float = 0.5


SIZES = {
    "embedded": Size(hidden=64, layers=2, vocabulary=600, batch=64, steps=40, shortest=10, longest=50),
    "30M": Size(hidden=512, layers=6, vocabulary=16_000, batch=16, steps=10, shortest=24, longest=160),
}
SIZES |= {
    "0.5B": Size(hidden=1024, layers=28, vocabulary=32_000, batch=32, steps=20, shortest=128, longest=512),
    "t5-base": Size(768, 12, 32_000, 32, 20, 128, 512, encoder_decoder=True),
}
#: A large vocabulary, as of today's models, and responses as long as in real dialogues.
SIZES |= {
    "wide": Size(256, 2, 150_000, batch=8, steps=8, shortest=500, longest=512, said=0.21),
    "wide-t5": Size(256, 2, 150_000, 8, 8, 500, 512, encoder_decoder=True, said=0.21),
}


def build(size: Size, folder: Path) -> None:
    """Saves the model, its tokenizer and the texts that both sides train on."""
    import numpy as np
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "</s>": 1} | {f"w{i}": i for i in range(2, size.vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    _model(size).save_pretrained(folder)
    rng = np.random.default_rng(0)

    def text(tokens: int) -> str:
        return " ".join(f"w{i}" for i in rng.integers(2, size.vocabulary, size=tokens))

    rows = []
    for _ in range(size.batch * size.steps // 2):
        prompt = text(_length(rng, size, 1 - size.said))
        chosen, rejected = (text(_length(rng, size, size.said)) for _ in "ab")
        rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    (folder / "pairs.json").write_text(json.dumps(rows))


def _length(rng: Any, size: Size, share: float) -> int:
    """Tokens of a part that has this share of the whole."""
    return int(rng.integers(int(size.shortest * share), int(size.longest * share)))


def _model(size: Size) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

    if size.encoder_decoder:
        return T5ForConditionalGeneration(
            T5Config(
                vocab_size=size.vocabulary,
                d_model=size.hidden,
                d_ff=2048 * size.hidden // 768,
                num_layers=size.layers,
                num_heads=size.hidden // 64,
                feed_forward_proj="gated-gelu",
                pad_token_id=0,
                eos_token_id=1,
                decoder_start_token_id=0,
            )
        )
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=4 * size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=max(2, size.hidden // 64),
        num_key_value_heads=max(2, size.hidden // 64),
        max_position_embeddings=512,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)
