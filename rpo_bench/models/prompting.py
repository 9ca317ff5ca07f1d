"""How a prompt becomes tokens: one rule for training, generation and scoring."""

from typing import Any


def prompt_ids(tokenizer: Any, text: str, is_encoder_decoder: bool) -> list[int]:
    """The token ids that a model is conditioned on.

    The tokenizer's own special tokens are added as its post-processor says (BOS for Llama, a final
    end-of-sequence for T5). For a decoder-only model a final end-of-sequence is taken off, because the
    response has to follow it. A text that gives no token becomes BOS, or EOS where there is no BOS.

    Args:
        tokenizer: A Hugging Face tokenizer.
        text: The prompt.
        is_encoder_decoder: Whether the prompt goes to an encoder.

    Returns:
        At least one token id.
    """
    ids: list[int] = list(tokenizer(text).input_ids)
    if not is_encoder_decoder and len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    if not ids:
        bos = tokenizer.bos_token_id
        ids = [tokenizer.eos_token_id if bos is None else bos]
    return ids
