"""Which models can't be used in which number format."""

from rpo_bench.errors import UserError

_T5_FAMILY = {"t5", "mt5", "umt5", "longt5", "switch_transformers", "pix2struct"}


def refuse_dtype(path: str, model_type: str, dtype: str, flag: str = "--dtype") -> None:
    """Raises UserError for a format whose range a family of models overflows."""
    if dtype == "float16" and model_type in _T5_FAMILY:
        raise UserError(
            f"{flag} float16: {path} is a {model_type} model, whose activations overflow in float16: use "
            "bfloat16 or float32."
        )
