"""Tiny models whose layers, or some of them, are recurrent: linear attention, state spaces, convolutions."""

from typing import Any

import torch
import transformers
from tiny_models import BOS, EOS, PAD, SPECIAL, WORDS

_IDS = {
    "vocab_size": len(SPECIAL + WORDS), "pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": BOS,
    "initializer_range": 0.3,
}  # fmt: skip
_SIZES = {
    **_IDS, "hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}  # fmt: skip
_LINEAR = {
    "head_dim": 16, "linear_num_value_heads": 2, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}  # fmt: skip

#: Name → (config class, model class, settings). The last two keep their state outside of any cache.
_MADE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "qwen3.5": (
        "Qwen3_5TextConfig", "Qwen3_5ForCausalLM", {**_SIZES, **_LINEAR, "num_hidden_layers": 2,
         "layer_types": ["linear_attention", "full_attention"]},
    ),
    "lfm2": (
        "Lfm2Config", "Lfm2ForCausalLM",
        {**_SIZES, "num_hidden_layers": 2, "layer_types": ["conv", "full_attention"], "conv_L_cache": 3},
    ),
    "mamba": (
        "MambaConfig", "MambaForCausalLM",
        {**_IDS, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4},
    ),
    "jamba": (
        "JambaConfig", "JambaForCausalLM",
        {**_SIZES, "num_hidden_layers": 2, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2,
         "expert_layer_period": 2, "mamba_d_state": 4, "use_mamba_kernels": False},
    ),
    "recurrent-gemma": (
        "RecurrentGemmaConfig", "RecurrentGemmaForCausalLM",
        {**{k: v for k, v in _SIZES.items() if k != "max_position_embeddings"}, "num_hidden_layers": 3,
         "lru_width": 32, "attention_window_size": 64},
    ),
    "rwkv": (
        "RwkvConfig", "RwkvForCausalLM",
        {**_IDS, "hidden_size": 16, "attention_hidden_size": 16, "num_hidden_layers": 2,
         "context_length": 128},
    ),
}  # fmt: skip
HYBRIDS = tuple(_MADE)


def hybrid(name: str) -> Any:
    """A model of the kind, with weights large enough to make its next tokens unlike."""
    config, model, settings = _MADE[name]
    torch.manual_seed(0)
    return getattr(transformers, model)(getattr(transformers, config)(**settings)).eval()
