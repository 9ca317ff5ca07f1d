"""Estimates the GPU cost of a matrix from parameters and tokens; nothing is loaded, downloaded or run.

The model (docs/paper-presets.md): a forward pass takes 2 floating-point operations per parameter and
token, and a backward pass takes 4. Attention products and embedding look-ups aren't counted. In an
encoder-decoder, the encoder's parameters process prompt tokens and the others process response tokens.
Training and log-probabilities run at ``mfu`` of the GPU's peak, and sampling at ``decode_mfu``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from rpo_bench.errors import UserError, did_you_mean, first_line
from rpo_bench.spec.settings import Settings
from trainers.objective import Method, Need

#: Peak dense bf16 floating-point operations per second, from the vendors' data sheets.
PEAKS: Mapping[str, float] = {"a100": 312e12, "h100": 989e12, "h200": 989e12, "l4": 121e12, "l40s": 362e12}
_FORWARD, _TRAIN = 2.0, 6.0  # per parameter and token


class ModelSize(Settings):
    """A model's size in parameters that process tokens; a tied output layer counts once."""

    parameters: int = Field(ge=1, description="all but a look-up table of embeddings")
    encoder: int = Field(0, ge=0, description="of these, the encoder's: they see the prompt alone")
    table: int = Field(0, ge=0, description="parameters of a look-up table of embeddings beside these")
    layers: int = Field(0, ge=0, description="of encoder and decoder together; 0: unknown")
    width: int = Field(0, ge=0, description="of the hidden states; 0: unknown")

    def work(self, prompt: float, response: float) -> float:
        """Parameters × tokens of one forward pass."""
        if self.encoder:
            return self.encoder * prompt + (self.parameters - self.encoder) * response
        return self.parameters * (prompt + response)


class Workload(Settings):
    """The size of the data in rows, prompts and tokens."""

    models: dict[str, ModelSize] = Field(default_factory=dict, description="by the name in the spec's models")
    rows: int = Field(ge=1, description="training rows, whose reference log-probs are computed once")
    heldout: int = Field(ge=1, description="prompts to measure on")
    prompt_tokens: float = Field(gt=0, description="mean")
    response_tokens: float = Field(gt=0, description="mean, logged and sampled")


@dataclass(frozen=True)
class Gpu:
    """A GPU and how well it is used.

    Attributes:
        name: a key of ``PEAKS``.
        mfu: share of the peak reached in training.
        decode_mfu: share of the peak reached in sampling.
    """

    name: str = "a100"
    mfu: float = 0.2
    decode_mfu: float = 0.05

    def __post_init__(self) -> None:
        """Checks name and shares; raises UserError."""
        if self.name not in PEAKS:
            raise UserError(f"--gpu {self.name}: unknown GPU.{did_you_mean(self.name, PEAKS)}")
        if not (0 < self.mfu <= 1 and 0 < self.decode_mfu <= 1):
            raise UserError(f"--mfu {self.mfu:g}: give a share of the peak between 0 and 1.")

    def hours(self, compute: float, decode: float) -> float:
        """GPU hours for the given numbers of floating-point operations."""
        return (compute / self.mfu + decode / self.decode_mfu) / PEAKS[self.name] / 3600


@dataclass(frozen=True)
class Price:
    """GPU hours of one cell, and those shared by all cells of a model.

    Attributes:
        train: training, including rollouts.
        measure: sampling and log-probabilities.
        shared: the reference's log-probabilities of all rows, once per model; 0 for online methods.
    """

    train: float
    measure: float
    shared: float


def price(method: Method | None, size: ModelSize, load: Workload, run: Mapping[str, int], gpu: Gpu) -> Price:
    """GPU hours of one cell.

    Args:
        method: the method; None: the reference, which is only measured.
        size: the model's size.
        load: the workload.
        run: ``steps``, ``batch_size``, ``n_samples``, and ``recomputed``: 1 under gradient checkpointing.
        gpu: the GPU.
    """
    pass_ = size.work(load.prompt_tokens, load.response_tokens)
    samples = load.heldout * run["n_samples"]
    measure = gpu.hours(2 * _FORWARD * pass_ * samples, _FORWARD * pass_ * samples)
    if method is None:
        return Price(0.0, measure, 0.0)
    rows = run["steps"] * run["batch_size"]
    each = _TRAIN + _FORWARD * run.get("recomputed", 0)
    forward, train = _FORWARD * pass_ * rows, each * pass_ * rows
    value = each * _value_work(method, size, load) * rows
    if method.samples_policy:
        epochs = int(getattr(method, "inner_epochs", 1))
        compute = 2 * forward + epochs * (train + value)  # old policy and reference, then the inner epochs
        return Price(gpu.hours(compute, forward), measure, 0.0)
    partner = 2 * forward if Need.KL_PARTNER in method.needs else 0.0  # policy and reference
    shared = gpu.hours(_FORWARD * pass_ * load.rows, 0.0)
    return Price(gpu.hours(train + value + partner, 0.0), measure, shared)


def _value_work(method: Method, size: ModelSize, load: Workload) -> float:
    """Parameters × tokens of a value network's pass; 0 without one.

    An offline one reads prompts, with the encoder where there is one; a critic reads responses too.
    """
    if Need.VALUE not in method.needs:
        return 0.0
    if getattr(method, "uses_critic", False):
        return size.work(load.prompt_tokens, load.response_tokens)
    return (size.encoder or size.parameters) * load.prompt_tokens


def size_of_folder(folder: Path, trust_remote_code: bool = False) -> ModelSize:
    """The size of a local model from its ``config.json``; no weights are needed.

    Raises:
        UserError: the file is missing, or transformers can't build the model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    try:
        config = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=trust_remote_code
        )
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        with torch.device("meta"):
            model = kind.from_config(config, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, json.JSONDecodeError) as error:
        raise UserError(f"{folder}: the model's size is unknown: {first_line(error)}") from error
    looked_up = model.get_input_embeddings().weight
    head = model.get_output_embeddings()
    tied = head is not None and head.weight is looked_up
    tables = looked_up.numel() if not tied else 0
    encoder = _count(model.get_encoder()) - looked_up.numel() if config.is_encoder_decoder else 0
    text = config.get_text_config()
    layers = int(text.num_hidden_layers)
    if config.is_encoder_decoder:
        names = ("num_decoder_layers", "decoder_layers")
        layers += next((int(getattr(config, name)) for name in names if getattr(config, name, None)), layers)
    return ModelSize(
        parameters=_count(model) - tables,
        encoder=encoder,
        table=tables,
        layers=layers,
        width=int(text.hidden_size),
    )


def _count(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
