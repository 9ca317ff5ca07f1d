"""The sections of run and cell specs: method, training, evaluation, data, prompts, loading, generation."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from rpo_bench.data.columns import ColumnName, flag_of
from rpo_bench.remote.urls import Address
from rpo_bench.spec.settings import Name, Seed, Settings

Batching = Literal["uniform", "by_length"]
Clipping = Literal["relative", "none", "absolute"]
Optim = Literal["adamw", "adafactor", "adamw-8bit", "paged-adamw-8bit"]
Decay = Annotated[float, Field(ge=0, lt=1)]

#: Training settings of version 0.1, which apply to stored cells without these fields.
FIRST_PROTOCOL = MappingProxyType({"batches": "by_length", "clipping": "absolute"})


#: Training settings that change no result but by rounding, and their values in a cell's identity.
NEUTRAL: Mapping[str, Any] = MappingProxyType({"micro_batch_size": None, "save_every": 0, "report_to": []})
#: Such settings of later versions, which a cell's identity doesn't have at all.
LATER_NEUTRAL = ("tokens_per_micro_batch", "gradient_checkpointing", "keep_checkpoints")


def without_neutral(training: Mapping[str, Any]) -> dict[str, Any]:
    """Dumped training settings, as cells are told apart by them."""
    return {name: value for name, value in {**training, **NEUTRAL}.items() if name not in LATER_NEUTRAL}


class Decoding(Settings):
    """How responses are sampled. The default is ancestral sampling, for which KL is defined."""

    temperature: float = Field(1.0, gt=0)
    top_k: int = Field(0, ge=0, description="0: no limit")
    top_p: float = Field(1.0, gt=0, le=1)
    repetition_penalty: float = Field(1.0, gt=0)
    no_repeat_ngram_size: int = Field(0, ge=0)
    max_new_tokens: int | None = Field(None, ge=1, description="None: the task's own limit")

    @property
    def restrains(self) -> bool:
        """Whether scores depend on the tokens so far."""
        return self.repetition_penalty != 1 or self.no_repeat_ngram_size > 0

    @property
    def ancestral(self) -> bool:
        """Whether samples come from the policy's unmodified distribution."""
        return self.model_copy(update={"max_new_tokens": None}) == Decoding()


RPO_PAPER_DECODING = Decoding(
    temperature=0.7, top_k=50, top_p=0.95, repetition_penalty=1.2, no_repeat_ngram_size=3
)


class LoraSpec(Settings):
    """Low-rank adapters through peft; the model without adapters is the reference."""

    rank: int = Field(8, ge=1)
    alpha: float = Field(16.0, gt=0)
    target_modules: tuple[str, ...] | None = Field(None, min_length=1, description="None: every linear layer")


class TrainingSpec(Settings):
    """Training settings shared by all methods; only the loss differs."""

    steps: int = Field(300, ge=1, description="optimiser steps")
    batch_size: int = Field(64, ge=2, description="rows per optimiser step")
    micro_batch_size: int | None = Field(None, ge=1, description="rows per forward pass; None: all")
    tokens_per_micro_batch: int | None = Field(
        None, ge=1, exclude_if=lambda tokens: tokens is None, description="most tokens of a forward pass"
    )
    gradient_checkpointing: bool = Field(
        False, exclude_if=lambda on: not on, description="compute activations again in the backward pass"
    )
    learning_rate: float | None = Field(None, gt=0, description="None: the method's default for the task")
    warmup_steps: int = Field(20, ge=0)
    weight_decay: float = Field(0.0, ge=0, description="of AdamW")
    adam_betas: tuple[Decay, Decay] = Field(
        (0.9, 0.999),
        exclude_if=lambda betas: betas == (0.9, 0.999),
        description="AdamW's decay of the running means of gradients and of their squares",
    )
    optim: Optim = Field("adamw", exclude_if=lambda name: name == "adamw", description="the optimiser")
    batches: Batching = Field("uniform", description="how rows are drawn; 'by_length': as version 0.1 did")
    clipping: Clipping = Field(
        "relative",
        description="to a method's own recent gradient norms, 'none', or 'absolute' as version 0.1",
    )
    max_grad_norm: float = Field(1.0, gt=0, description="of absolute clipping")
    dtype: Literal["auto", "float32", "bfloat16", "bfloat16-weights"] = Field(
        "auto", description="of passes; 'bfloat16-weights': by bf16 copies of weights kept in float32"
    )
    lora: LoraSpec | None = None
    probe_every: int = Field(50, ge=0, description="steps between probe rewards; 0: never")
    save_every: int = Field(0, ge=0, description="steps between resumable checkpoints; 0: never")
    keep_checkpoints: Literal["last", "best", "all"] = Field(
        "last",
        exclude_if=lambda keep: keep == "last",
        description="also the policy of the probe with the best reward, or of all probes",
    )
    report_to: tuple[str, ...] = ()
    rollouts: Literal["hf", "vllm"] = Field(
        "hf", exclude_if=lambda name: name == "hf", description="what samples for methods that need it"
    )
    reward: str = Field(
        "gold",
        description="what online methods learn from: 'gold', 'proxy', 'python:FILE:FUNCTION', 'hf:FOLDER' or "
        "a weighted sum, such as 'proxy*0.5+gold*0.5'; a list is a sum",
    )

    @property
    def of_version_0_1(self) -> bool:
        """Whether batches and clipping are those of version 0.1."""
        return all(getattr(self, name) == value for name, value in FIRST_PROTOCOL.items())

    @model_validator(mode="after")
    def _kept_at_probes(self) -> Self:
        if self.keep_checkpoints != "last" and not self.probe_every:
            raise ValueError("keep_checkpoints keeps the policies of probes: set probe_every above 0")
        return self

    @model_validator(mode="after")
    def _norm_of_absolute_clipping(self) -> Self:
        default = type(self).model_fields["max_grad_norm"].default
        if self.clipping != "absolute" and self.max_grad_norm != default:
            raise ValueError(
                "max_grad_norm belongs to absolute clipping: set clipping to absolute, or leave it out"
            )
        return self

    @field_validator("reward", mode="before")
    @classmethod
    def _summed(cls, value: Any) -> Any:
        return "+".join(map(str, value)) if isinstance(value, list | tuple) else value


class EvaluationSpec(Settings):
    """Settings for measuring checkpoints."""

    n_samples: int = Field(4, ge=1, description="samples per held-out prompt")
    prompts: Literal["test", "tuning"] = Field(
        "test",
        exclude_if=lambda which: which == "test",
        description="the task's held-out ones, or those that settings are chosen by",
    )
    limit: int | None = Field(None, ge=1, description="only the first so many prompts")
    batch_size: int = Field(256, ge=1, description="sequences generated at a time; part of the identity")
    seed: Seed = 0
    decoding: Decoding = Decoding()
    toxicity: str = Field(
        "profanity",
        description="'profanity', 'detoxify:VARIANT', 'detoxify:FILE', 'hate-speech', 'hf:PATH' or 'none'",
    )
    reward: str | None = Field(None, description="None: the task's; 'python:FILE:FUNCTION' or 'hf:FOLDER'")


class DataSpec(Settings):
    """The training rows."""

    file: str | None = Field(None, description="None: the task's own data")
    split: str | None = Field(None, description="only the rows of this split of the file")
    skip_bad: bool = Field(False, description="leave out records that can't be used, instead of stopping")
    long: Literal["fail", "truncate", "drop"] = Field(
        "fail", description="what becomes of rows that don't fit the model's context"
    )
    max_length: int | None = Field(
        None,
        ge=2,
        exclude_if=lambda length: length is None,
        description="most tokens of a prompt and its response together; of an encoder-decoder, of each",
    )
    columns: dict[ColumnName, str] = Field(
        default_factory=dict,
        exclude_if=lambda columns: not columns,
        description="what the file calls columns of ours, such as prompt: question",
    )
    variant: str = Field("on_policy", description="which of the task's data sets")
    responses_per_prompt: int | None = Field(None, ge=1, description="K: keep the first so many of each")
    test_fraction: float = Field(0.2, gt=0, lt=1, description="of the prompts, where the data has no split")

    @model_validator(mode="after")
    def _columns_of_a_file(self) -> Self:
        if self.columns and self.file is None:
            raise ValueError(
                f"{flag_of(next(iter(self.columns)))} names a column of a file: give it with --data"
            )
        return self


class PromptFormat(Settings):
    """The format in which a prompt's text is written before tokenising; the response follows it."""

    kind: Literal["chat", "template"]
    template: str | None = Field(None, description="its text; None: the chat template of the tokenizer")
    system: str | None = Field(None, description="of a chat: what the system turn says")
    hash: str = Field(description="content hash of the template that is used, and of the system turn")


class LoadingSpec(Settings):
    """How models are loaded for measuring."""

    dtype: Literal["float32", "bfloat16", "float16", "autocast"] = Field(
        "float32",
        description="of the weights; training keeps float32 weights unless it trains adapters; 'autocast': "
        "float32 weights and bfloat16 passes",
    )
    quantization: Literal["nf4"] | None = Field(
        None,
        exclude_if=lambda kind: kind is None,
        description="of the weights, by bitsandbytes; training then needs adapters",
    )
    attn_implementation: str | None = Field(None, description="eager, sdpa, flash_attention_2 …")
    device_map: str | None = Field(None, description="as transformers takes it: auto, balanced, cpu …")
    revision: str | None = Field(
        None, description="of models from the hub: asked for in a run, the resolved commit in a cell"
    )

    @property
    def numbers(self) -> tuple[str | None, ...]:
        """What a model's outputs depend on."""
        return self.dtype, self.quantization, self.attn_implementation


class VllmSettings(Settings):
    """How vLLM's offline engine runs; None leaves a setting to vLLM."""

    tensor_parallel_size: int = Field(1, ge=1, description="GPUs that share the model")
    gpu_memory_utilization: float | None = Field(None, gt=0, le=1)
    max_num_seqs: int | None = Field(None, ge=1, description="sequences sampled at a time")
    enforce_eager: bool = Field(False, description="no CUDA graphs: a quicker start, slower sampling")


class ServerSettings(Settings):
    """Address and request settings of a server with OpenAI-compatible completions."""

    base_url: Address | None = Field(
        None, description="such as http://localhost:8000/v1; kept without user, password and query"
    )
    model: str | None = Field(None, description="what it calls the checkpoint; None: its folder's name")
    api_key_env: str = Field("OPENAI_API_KEY", description="the variable that holds the key, if it needs one")
    concurrency: int = Field(16, ge=1, description="requests in flight")
    timeout: float = Field(120.0, gt=0, description="seconds of one request")


class GenerationSpec(Settings):
    """The backend that samples checkpoints when measuring; probes always use transformers."""

    backend: Literal["hf", "vllm", "openai"] = Field("hf", description="part of a cell's identity")
    vllm: VllmSettings = VllmSettings()
    openai: ServerSettings = ServerSettings()

    @property
    def of_references(self) -> "GenerationSpec":
        """The backend for base models: transformers instead of a server, which has only the checkpoint."""
        return GenerationSpec() if self.backend == "openai" else self


class MethodSpec(Settings):
    """A registered method with the options that differ from its defaults."""

    name: Name
    options: dict[str, Any] = Field(default_factory=dict)
    source: str | None = Field(None, description="content hash of the plug-in that defines it; None: ours")

    @property
    def label(self) -> str:
        """Its name in results: ``rpo`` or ``rpo(partition=leave_one_out)``."""
        options = ",".join(f"{key}={value}" for key, value in sorted(self.options.items()))
        return f"{self.name}({options})" if options else self.name
