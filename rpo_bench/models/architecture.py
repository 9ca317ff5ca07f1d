"""Checks that a checkpoint is a causal or encoder-decoder language model, and its number format."""

from collections.abc import Sequence
from typing import Any

from rpo_bench.errors import UserError

#: Ends of class names that aren't causal language models.
_OTHER_HEADS = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
    "ForMaskedLM",
    "EncoderModel",
)
#: Families whose activations overflow in float16.
_T5_FAMILY = {"t5", "mt5", "umt5", "longt5", "switch_transformers", "pix2struct"}


def check_architecture(path: str, config: Any) -> None:
    """Checks that a checkpoint generates text from left to right.

    transformers loads masked language models such as BERT as causal ones without warning. They would see the
    tokens whose log-probabilities are computed.

    Args:
        path: The checkpoint, for messages.
        config: Its transformers config.

    Raises:
        UserError: It is another kind of model; the message names it.
    """
    for held in getattr(config, "architectures", None) or ():
        if str(held).endswith(_OTHER_HEADS):
            raise UserError(
                f"{path} holds a {held}, which doesn't generate text from left to right: give a causal or an "
                "encoder-decoder language model."
            )
    if not config.is_encoder_decoder and _reads_both_ways(config):
        raise UserError(
            f"{path} is a {config.model_type} model that reads in both directions (its config has no "
            "is_decoder: true), and would see the tokens it has to predict: give a causal or an "
            "encoder-decoder language model."
        )


def refuse_dtype(path: str, model_type: str, dtype: str, flag: str = "--dtype") -> None:
    """Raises UserError for a number format that the model's activations overflow."""
    if dtype == "float16" and model_type in _T5_FAMILY:
        raise UserError(
            f"{flag} float16: {path} is a {model_type} model, whose activations overflow in float16: use "
            "bfloat16 or float32."
        )


def _reads_both_ways(config: Any) -> bool:
    """Whether a model of a masked family is loaded without its causal mask."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    families: Sequence[Any] = (MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES)
    masked = all(config.model_type in family for family in families)
    return masked and not (getattr(config, "is_decoder", False) or getattr(config, "causal", False))
