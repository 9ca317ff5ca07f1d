"""Loads a model and its tokenizer from a checkpoint folder or hub name, and checks that they match."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rpo_bench.errors import UserError, first_line
from rpo_bench.models.adapter_checks import adapter_base
from rpo_bench.models.architecture import check_architecture, refuse_dtype
from rpo_bench.models.folder import check_model_folder, has_tokenizer, is_adapter
from rpo_bench.models.quiet import quiet
from trainers.adapters import changes_base, trial_logps
from trainers.device import process_device
from trainers.inputs import TokenLayout

#: Float32 weights, and passes in bfloat16.
AUTOCAST = "autocast"
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    AUTOCAST: torch.float32,
}
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode on its device, and its tokenizer."""

    model: Any
    tokenizer: Any
    adapter_of: str | None = None  # the base model, if switching off the adapter restores it


@dataclass(frozen=True)
class LoadOptions:
    """Options for loading a checkpoint."""

    dtype: str = "float32"
    device: str | None = None  # None: the GPU if there is one
    allow_pickle: bool = False
    trust_remote_code: bool = False
    attn_implementation: str | None = None
    device_map: str | None = None
    quantization: str | None = None

    @property
    def torch_dtype(self) -> torch.dtype:
        """The weights' type; raises UserError for an unknown name."""
        if self.dtype not in DTYPES:
            raise UserError(f"--dtype {self.dtype}: choose float32, bfloat16, float16 or autocast.")
        return DTYPES[self.dtype]

    @property
    def torch_device(self) -> torch.device:
        """The device; raises UserError for one that torch can't use."""
        try:
            device = torch.device(self.device) if self.device else process_device()
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise UserError(
                f"--device {self.device}: torch can't use it here ({first_line(error)})."
            ) from error
        return device


def load_checkpoint(path: str | Path, options: LoadOptions) -> LoadedModel:
    """Loads a model folder, an adapter folder with its base model, or a hub model.

    Raises:
        UserError: Something is missing, unreadable or incompatible; the message says what.
    """
    folder = Path(path)
    if is_adapter(folder):
        return _load_adapter(folder, options)
    if not folder.exists() and _HUB_NAME.fullmatch(str(path)) is None:
        raise UserError(f"There is no model folder {path}.")
    if folder.exists():
        check_model_folder(folder, options.allow_pickle)
    model = _load_model(str(path), options)
    tokenizer = load_tokenizer(str(path), options.trust_remote_code)
    check_fit(model, tokenizer, str(path))
    return LoadedModel(model, tokenizer)


def load_config(path: str, trust_remote_code: bool = False) -> Any:
    """The config of a language model; raises UserError when it can't be read."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
    except Exception as error:
        raise UserError(_explained(path, "model", error)) from error
    check_architecture(path, config)
    return config


def load_tokenizer(path: str, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a folder or hub model; raises UserError when it can't be read.

    Decoding returns exactly the text of the tokens: the setting that drops spaces before punctuation is off.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
    except Exception as error:
        raise UserError(_explained(path, "tokenizer", error)) from error
    tokenizer.clean_up_tokenization_spaces = False  # score the sampled text unchanged
    return tokenizer


def load_classifier(
    folder: Path, what: str, *, allow_pickle: bool = False, trust_remote_code: bool = False
) -> tuple[Any, Any]:
    """Loads a sequence classifier in float32 and evaluation mode, and its tokenizer.

    Args:
        folder: A folder written by ``save_pretrained``.
        what: The flag that named it, for messages.
        allow_pickle: Whether pickled weights may be loaded.
        trust_remote_code: Whether code in the folder may run.

    Raises:
        UserError: It isn't a sequence classifier, or its weights are incomplete.
    """
    from transformers import AutoModelForSequenceClassification

    try:
        with quiet():
            model, info = AutoModelForSequenceClassification.from_pretrained(
                folder,
                dtype=torch.float32,
                trust_remote_code=trust_remote_code,
                use_safetensors=None if allow_pickle else True,
                output_loading_info=True,
            )
    except Exception as error:
        raise UserError(f"{what}: it can't be read as a sequence classifier: {first_line(error)}.") from error
    if info["missing_keys"]:
        absent = sorted(info["missing_keys"])[0]
        raise UserError(f"{what}: the classifier is incomplete: its weights lack {absent}.")
    return model.to(process_device()).eval(), load_tokenizer(str(folder), trust_remote_code)


def check_fit(model: Any, tokenizer: Any, path: str) -> None:
    """Checks that the tokenizer fits the model; raises UserError when it doesn't."""
    rows = model.get_input_embeddings().weight.shape[0]
    word, largest = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if largest >= rows:
        raise UserError(
            f"The tokenizer in {path} doesn't fit its model: the token {word!r} has the id {largest}, "
            f"and the model has embeddings for ids below {rows}."
        )
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"The tokenizer in {path} has no end-of-sequence token, which responses need: set eos_token in "
            "tokenizer_config.json."
        )
    if tokenizer.pad_token_id is not None and not 0 <= tokenizer.pad_token_id < rows:
        raise UserError(
            f"The padding token in {path} has the id {tokenizer.pad_token_id}, and the model has {rows} ids."
        )
    TokenLayout.of(model, None, tokenizer)  # checks that an encoder-decoder has a decoder start token


def check_attention(path: str, implementation: str, trust_remote_code: bool = False) -> None:
    """Builds the model without weights; raises UserError when it doesn't support this attention."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
        auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        with torch.device("meta"):
            auto.from_config(config, attn_implementation=implementation, trust_remote_code=trust_remote_code)
    except Exception as error:
        raise UserError(
            f"--attn-implementation {implementation}: {path} can't be loaded with it: {first_line(error)}."
        ) from error


def _load_model(path: str, options: LoadOptions) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    trust = options.trust_remote_code
    dtype, device = options.torch_dtype, options.torch_device
    placing: dict[str, Any] = {
        "attn_implementation": options.attn_implementation,
        "device_map": options.device_map,
    }
    placing = {name: value for name, value in placing.items() if value is not None}
    if options.quantization is not None:
        placing |= {
            "quantization_config": _four_bits(dtype),
            "device_map": options.device_map or {"": device},
        }
    try:
        config = load_config(path, trust)
        refuse_dtype(path, config.model_type, options.dtype)
        auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model, info = auto.from_pretrained(
            path,
            config=config,
            dtype=dtype,
            trust_remote_code=trust,
            use_safetensors=None if options.allow_pickle else True,
            output_loading_info=True,
            **placing,
        )
    except UserError:
        raise
    except Exception as error:
        if options.device_map is not None and "device_map" in str(error):
            raise UserError(f"--device-map {options.device_map}: {path}: {first_line(error)}.") from error
        raise UserError(_explained(path, "model", error)) from error
    if info["missing_keys"]:
        names = sorted(info["missing_keys"])
        raise UserError(
            f"The model in {path} is incomplete: its weights lack {names[0]} ({len(names)} in all)."
        )
    return (model if "device_map" in placing else model.to(device)).eval()


def _four_bits(dtype: torch.dtype) -> Any:
    """4-bit NormalFloat weights with quantised constants, as QLoRA has them (arXiv 2305.14314)."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _load_adapter(folder: Path, options: LoadOptions) -> LoadedModel:
    from peft import PeftModel

    base_path = adapter_base(folder, options.allow_pickle)
    base = load_checkpoint(base_path, options)
    before = trial_logps(base.model)
    try:
        model = PeftModel.from_pretrained(base.model, str(folder))
    except Exception as error:
        raise UserError(
            f"The adapter in {folder} can't be loaded on {base_path}: {first_line(error)}."
        ) from error
    if model.active_peft_config.is_prompt_learning:
        raise UserError(f"The adapter in {folder} adds prompt tokens; only LoRA-like adapters are supported.")
    own = has_tokenizer(folder)
    tokenizer = load_tokenizer(str(folder), options.trust_remote_code) if own else base.tokenizer
    check_fit(model.get_base_model(), tokenizer, str(folder))
    # If the adapter changed the base model itself, the reference must be loaded separately.
    return LoadedModel(model.eval(), tokenizer, None if changes_base(model, before) else base_path)


def _explained(path: str, what: str, error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return f"{path} contains its own code: read it, then give --trust-remote-code to run it."
    said = first_line(error)
    if not Path(path).exists():
        return f"There is no folder {path}, and no {what} of that name could be loaded from the hub: {said}."
    return f"The {what} in {path} can't be read: {type(error).__name__}: {said}."
