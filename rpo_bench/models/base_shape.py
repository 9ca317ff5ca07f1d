"""The shape of a base model, and the transformers model of that shape."""

from typing import Any

from pydantic import Field

from rpo_bench.errors import UserError
from rpo_bench.models.base_tokenizer import Architecture, TokenizerKind
from rpo_bench.spec.settings import Settings


class BaseSettings(Settings):
    """Shape and pretraining settings of a base model."""

    architecture: Architecture = "decoder"
    tokenizer: TokenizerKind = "bpe"
    vocab_size: int | None = Field(None, ge=8, description="None: sized to the data")
    hidden_size: int = Field(128, ge=8)
    layers: int = Field(4, ge=1, description="of the decoder, and as many of an encoder")
    heads: int | None = Field(None, ge=1, description="None: of 16 channels up to 64 wide, else of 32")
    feed_forward: int | None = Field(None, ge=8, description="None: 8/3 of the width")
    context_length: int | None = Field(None, ge=8, description="tokens; None: sized to the data")
    steps: int = Field(2000, ge=1)
    batch_size: int = Field(32, ge=2)
    learning_rate: float | None = Field(None, gt=0, description="None: 0.2 / hidden_size")
    seed: int = Field(0, ge=0)

    @property
    def n_heads(self) -> int:
        """Attention heads; raises UserError when they don't divide the width."""
        heads = self.heads or max(1, self.hidden_size // (16 if self.hidden_size <= 64 else 32))
        if self.hidden_size % heads or self.hidden_size // heads % 2:
            raise UserError(
                f"--hidden-size {self.hidden_size} can't be split into {heads} heads of an even width: "
                "make it a multiple of 32."
            )
        return heads

    def check(self) -> None:
        """Raises UserError for an invalid shape."""
        _ = self.n_heads

    @property
    def feed_forward_size(self) -> int:
        """Width of the feed-forward layers."""
        return self.feed_forward or max(8, round(self.hidden_size / 3) * 8)

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate after warm-up."""
        return self.learning_rate or 0.2 / self.hidden_size


def build_model(settings: BaseSettings, tokenizer: Any, context: int) -> Any:
    """A Llama or T5 model with fresh weights, tied embeddings and no dropout."""
    common = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": True,
    }
    if settings.architecture == "decoder":
        from transformers import LlamaConfig, LlamaForCausalLM

        return LlamaForCausalLM(
            LlamaConfig(
                **common,
                bos_token_id=tokenizer.bos_token_id,
                hidden_size=settings.hidden_size,
                intermediate_size=settings.feed_forward_size,
                num_hidden_layers=settings.layers,
                num_attention_heads=settings.n_heads,
                num_key_value_heads=settings.n_heads,
                head_dim=settings.hidden_size // settings.n_heads,
                max_position_embeddings=context,
            )
        )
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(
            **common,
            decoder_start_token_id=tokenizer.pad_token_id,
            d_model=settings.hidden_size,
            d_kv=settings.hidden_size // settings.n_heads,
            d_ff=settings.feed_forward_size,
            num_layers=settings.layers,
            num_decoder_layers=settings.layers,
            num_heads=settings.n_heads,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            n_positions=context,
        )
    )


def generation_settings(model: Any, longest: int) -> Any:
    """Plain sampling up to end-of-sequence or the length of the longest training response."""
    from transformers import GenerationConfig

    return GenerationConfig(
        do_sample=True,
        max_new_tokens=longest,
        pad_token_id=model.config.pad_token_id,
        eos_token_id=model.config.eos_token_id,
        bos_token_id=getattr(model.config, "bos_token_id", None),
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
    )
