"""The schema of runs and cells: frozen, validated and hashable."""

from collections.abc import Iterator
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, NewType, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from rpo_bench.data.columns import ColumnName, flag_of
from rpo_bench.files.hashing import hash_json
from rpo_bench.files.plain_data import MAX_SEED, plain_problem, values_in
from rpo_bench.remote.urls import Address

Batching = Literal["uniform", "by_length"]
Clipping = Literal["relative", "none", "absolute"]

#: Training settings of version 0.1, which apply to stored cells without these fields.
FIRST_PROTOCOL = MappingProxyType({"batches": "by_length", "clipping": "absolute"})

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
MAX_NAME = 1000  # characters
MAX_BUDGET = 10_000  # times the training's steps
Name = Annotated[str, Field(max_length=MAX_NAME)]
Strength = Annotated[float, Field(gt=0)]

#: A task given by a user: a known name, or a folder, whose code is then run. Task names in records are plain
#: strings, which :func:`rpo_bench.tasks.task.load_task` doesn't accept.
GivenTask = NewType("GivenTask", str)


class Frozen(BaseModel):
    """The base of all records: immutable, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(Frozen):
    """The base of all specs: settings from the command line, files or Python.

    Numbers are finite and fit into 64 bits, texts are Unicode without NUL, and true and false aren't numbers.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any, info: ValidationInfo) -> Any:
        nested, takes_switch = _kinds(cls, str(info.field_name))
        if nested:  # its own fields are checked separately
            return value
        if (problem := plain_problem(value)) is not None:
            raise ValueError(problem)
        if not takes_switch and any(isinstance(item, bool) for item in values_in(value)):
            raise ValueError("true and false aren't numbers or texts")
        return value


@cache
def _kinds(model: type[Settings], field: str) -> tuple[bool, bool]:
    """Whether a field has nested settings, and whether it accepts true and false."""
    kinds = list(_mentioned(model.model_fields[field].annotation))
    nested = any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds)
    return nested, bool in kinds or Any in kinds


def _mentioned(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _mentioned(part)


class Decoding(Settings):
    """How responses are sampled. The default is ancestral sampling, for which KL is defined."""

    temperature: float = Field(1.0, gt=0)
    top_k: int = Field(0, ge=0, description="0: no limit")
    top_p: float = Field(1.0, gt=0, le=1)
    repetition_penalty: float = Field(1.0, gt=0)
    no_repeat_ngram_size: int = Field(0, ge=0)
    max_new_tokens: int | None = Field(None, ge=1, description="None: the task's own limit")

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
    learning_rate: float | None = Field(None, gt=0, description="None: the method's default for the task")
    warmup_steps: int = Field(20, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    batches: Batching = Field("uniform", description="how rows are drawn; 'by_length': as version 0.1 did")
    clipping: Clipping = Field(
        "relative",
        description="to a method's own recent gradient norms, 'none', or 'absolute' as version 0.1",
    )
    max_grad_norm: float = Field(1.0, gt=0, description="of absolute clipping")
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    lora: LoraSpec | None = None
    probe_every: int = Field(50, ge=0, description="steps between probe rewards; 0: never")
    save_every: int = Field(0, ge=0, description="steps between resumable checkpoints; 0: never")
    report_to: tuple[str, ...] = ()
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

    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="of the weights; training keeps float32 weights unless it trains adapters"
    )
    attn_implementation: str | None = Field(None, description="eager, sdpa, flash_attention_2 …")
    device_map: str | None = Field(None, description="as transformers takes it: auto, balanced, cpu …")
    revision: str | None = Field(
        None, description="of models from the hub: asked for in a run, the resolved commit in a cell"
    )


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
    """The backend that samples checkpoints when measuring; probes and rollouts always use transformers."""

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


class CellSpec(Settings):
    """One training run and its evaluation: task, base model, method, strength, seed and settings."""

    task: str
    task_hash: str = Field(description="content hash of the task: prompts, reward, version")
    data: DataSpec
    data_hash: str = Field(description="content hash of the rows that are trained on")
    world_hash: str | None = Field(
        None, description="content hash of the reward and the length limit that an online method learns under"
    )
    model: str = Field(description="the name that results use")
    model_path: str
    model_hash: str = Field(description="content hash of the base model's folder")
    method: MethodSpec
    strength: float | None = Field(description="None: the reference policy itself, not trained")
    seed: Seed
    training: TrainingSpec
    evaluation: EvaluationSpec
    prompt_format: PromptFormat | None = Field(None, description="None: prompts go in as they are")
    loading: LoadingSpec = LoadingSpec()
    generation: GenerationSpec = GenerationSpec()

    @model_validator(mode="before")
    @classmethod
    def _of_version_0_1(cls, value: Any) -> Any:
        return with_first_protocol(value)

    @property
    def hash(self) -> str:
        """The cell's identity: SHA-256 of all fields above except file paths."""
        return hash_json(self._without("model_path"))

    @property
    def training_hash(self) -> str:
        """The identity of the checkpoint, independent of evaluation settings."""
        return hash_json(self._without("model_path", "evaluation", "task_hash", "generation"))

    def _without(self, *fields: str) -> dict[str, Any]:
        identity = self.model_dump(mode="json", exclude=set(fields))
        for where in ("file", "columns"):
            identity["data"].pop(where, None)  # its content is in data_hash
        del identity["training"]["reward"]  # its content is in world_hash
        identity["training"]["report_to"] = []  # changes no result
        del identity["loading"]["revision"]  # its content is in model_hash
        del identity["loading"]["device_map"]
        return without_later_defaults(identity)

    @property
    def name(self) -> str:
        """Folder name: ``<method>-<strength>-<seed>-<hash8>``."""
        strength = "none" if self.strength is None else f"{self.strength:g}"
        label = "".join(c if c.isalnum() or c in "._=-" else "_" for c in self.method.label).rstrip("_")
        return f"{label}-{strength}-{self.seed}-{self.hash[:8]}"


def with_first_protocol(stored: Any) -> Any:
    """Stored settings; those without a setting for batches get version 0.1's, which wrote them."""
    training = stored.get("training") if isinstance(stored, dict) else None
    if isinstance(training, dict) and not FIRST_PROTOCOL.keys() & training.keys():
        return {**stored, "training": {**training, **FIRST_PROTOCOL}}
    return stored


def without_later_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """A cell's settings without default values of fields added after the first published cells.

    A cell therefore keeps its identity when a release adds a setting.
    """
    kept = dict(settings)
    if kept.get("prompt_format", "") is None:
        del kept["prompt_format"]
    backend = kept.get("generation", {}).get("backend", GenerationSpec().backend)
    kept.pop("generation", None)
    if backend != GenerationSpec().backend:
        kept["generation"] = backend  # its other settings don't change the distribution
    if "loading" in kept:
        default = LoadingSpec().model_dump(mode="json")
        changed = {name: value for name, value in kept["loading"].items() if value != default[name]}
        kept["loading"] = changed
        if not changed:
            del kept["loading"]
    if isinstance(training := kept.get("training"), dict):
        # The reference policy isn't trained, and the training of checkpoints from elsewhere is unknown.
        same = kept.get("strength", "") is None or kept.get("data_hash") == ""
        same = same or FIRST_PROTOCOL.items() <= training.items()
        kept["training"] = {name: v for name, v in training.items() if not (same and name in FIRST_PROTOCOL)}
    return kept


class TunedRates(Settings):
    """Learning rates chosen by ``rpo-bench tune``, by ``method@base model``."""

    file: str = Field(description="content hash of the file")
    task: str = Field(description="the task that it was tuned on")
    steps: int = Field(ge=1, description="optimiser steps that it was tuned with")
    rates: dict[str, Annotated[float, Field(gt=0)]]
    configurations: dict[str, int] = Field(description="how many were tried for each")
    best_of: dict[str, tuple[float, ...]] = Field(
        default_factory=dict, description="expected best area of k of the learning rates tried, k = 1 …"
    )
    cap: float | None = Field(None, gt=0, description="nats up to which these areas are taken")


def tuned_key(method: str, model: str) -> str:
    """The key of a tuned learning rate: the method's label and the base model's name."""
    return f"{method}@{model}"


class RunSpec(Settings):
    """The spec of ``train-and-eval``, which the plan turns into cells."""

    task: Annotated[GivenTask, Field(max_length=MAX_NAME)] = GivenTask("civil_qa")
    data: DataSpec = DataSpec()
    models: tuple[Name, ...] = Field(("decoder",), min_length=1, description="the task's names, or folders")
    methods: tuple[MethodSpec, ...] = Field(min_length=1)
    strengths: dict[str, Annotated[tuple[Strength, ...], Field(min_length=1)]] = Field(
        default_factory=dict, description="by method name; '*' for all; the method's own otherwise"
    )
    n_strengths: int | None = Field(None, ge=1, description="how many of a method's own strengths to run")
    kl_budgets: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="nats: near each of these, further strengths of every method are placed"
    )
    placed: int = Field(6, ge=1, description="how many further strengths of a method, at most")
    seeds: tuple[Seed, ...] = Field((0, 1, 2), min_length=1)
    budgets: tuple[Annotated[int, Field(ge=1, le=MAX_BUDGET)], ...] = Field(
        (1,), min_length=1, description="multiples of the training's steps: every cell at each of them"
    )
    learning_rates: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="a sweep: every cell at each of them, in place of the training's one"
    )
    tuned: TunedRates | None = Field(None, description="in place of the methods' usual learning rates")
    training: TrainingSpec = TrainingSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    prompt_format: str | None = Field(
        None, description="'none', 'chat', a .jinja chat template or a text file with {prompt} in it"
    )
    system_prompt: str | None = Field(None, description="of a chat format")
    loading: LoadingSpec = LoadingSpec()
    generation: GenerationSpec = GenerationSpec()
