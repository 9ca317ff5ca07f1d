"""The tokens that begin an encoder-decoder model's targets before any text: <s>, or a language code."""

from typing import Any

from trainers.errors import UserError

#: Their decoders start with end-of-sequence, then the language of what is to be written.
_MULTILINGUAL = frozenset({"mbart", "m2m_100", "nllb-moe"})


def target_beginning(model: Any, tokenizer: Any, start: int) -> tuple[int, ...]:
    """The tokens between the decoder's start and the text, as the model was trained on them.

    That is what the tokenizer writes before targets (``text_target=``), whose first token is
    ``forced_bos_token_id`` where the model's settings have one. They are given to the model, neither
    sampled nor counted.

    Args:
        model: A transformers encoder-decoder model.
        tokenizer: Its tokenizer; None: use only the model's settings.
        start: ``decoder_start_token_id``.

    Raises:
        UserError: A multilingual model doesn't define the target language.
    """
    config = model.config
    forced = getattr(config, "forced_bos_token_id", None)
    forced = getattr(getattr(model, "generation_config", None), "forced_bos_token_id", None) or forced
    written = [] if tokenizer is None else _before_targets(tokenizer)
    found = tuple(written) if forced is None else (int(forced), *written[1:])
    if not found and config.model_type in _MULTILINGUAL and start == config.eos_token_id:
        raise UserError(
            "The multilingual model doesn't define its target language: set forced_bos_token_id in its "
            "generation_config.json, or tgt_lang in its tokenizer_config.json."
        )
    return found


def _before_targets(tokenizer: Any) -> list[int]:
    try:
        whole = tokenizer(text_target="a").input_ids
    except Exception:  # a multilingual tokenizer without a target language
        return []
    special, found = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}, []
    for token in whole:
        if token is None or int(token) not in special:
            break
        found.append(int(token))
    return found if len(found) < len(whole) else []
