"""The table of flags and the spec fields that they set.

The command line makes its options from this table. ``spec.command`` makes the command that reproduces a
cell, and ``analysis.compatible`` the words for settings that must not differ. Bounds, defaults and most
descriptions come from ``spec.schema`` and ``spec.sections``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rpo_bench.data.columns import ColumnName, flag_of
from rpo_bench.spec.parsing import (
    method_settings,
    parse_budgets,
    parse_nats,
    parse_seeds,
    parse_strengths,
    parse_sweep,
    split_list,
)
from rpo_bench.spec.schema import RunSpec


@dataclass(frozen=True)
class SpecFlag:
    """A field of a run's spec and its flag.

    Attributes:
        field: its place in ``RunSpec``, such as ``training.steps``; ``CellSpec`` has the same names.
        flag: the flag, such as ``--steps``.
        text: the help text; by default the description of the field.
        metavar: the placeholder for the value in the help.
        aliases: further spellings.
        parse: text → value; by default pydantic parses the text.
        switch: the value set by a flag without an argument.
        pinned: whether reproducing commands include it even at its default, as the default of a later
            version or of a preset may differ.
        called: its name in sentences on differences between results.
    """

    field: str
    flag: str
    text: str = ""
    metavar: str | None = None
    aliases: tuple[str, ...] = ()
    parse: Callable[[str], Any] | None = None
    switch: Any = None
    pinned: bool = False
    called: str = ""

    @property
    def help(self) -> str:
        """The help text."""
        if self.text:
            return self.text
        description = field_of(self.field).description or ""
        return f"{description[:1].upper()}{description[1:]}."

    @property
    def bounds(self) -> dict[str, int]:
        """The smallest and largest allowed whole number, as ``min`` and ``max``."""
        names = {"ge": "min", "le": "max"}
        return {
            names[limit]: value
            for one in field_of(self.field).metadata
            for limit in names
            if isinstance(value := getattr(one, limit, None), int)
        }

    @property
    def default(self) -> Any:
        """The field's default."""
        found = field_of(self.field)
        return None if found.is_required() else found.get_default(call_default_factory=True)

    def words(self, value: Any) -> list[str]:
        """The command-line words that set the field to ``value``."""
        if self.switch is not None:
            return [self.flag] if value == self.switch else []
        return [self.flag, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]


_COLUMNS: Mapping[ColumnName, str] = {
    "prompt": "Name of your prompt column.",
    "response": "Name of your response column.",
    "reward": "Name of your reward column.",
    "chosen": "Preference pairs: column of the better response.",
    "rejected": "Preference pairs: column of the worse response.",
    "label": "Column of binary labels (desirable or not), instead of a reward.",
    "messages": "Column of whole conversations.",
}

#: In the order of their use in commands.
SPEC_FLAGS: tuple[SpecFlag, ...] = (
    SpecFlag("task", "--task", "A task by name or folder.", aliases=("--tasks",)),
    SpecFlag(
        "models",
        "--models",
        "Base models: the task's own by name, folders, or names on the hub.",
        aliases=("--model",),
        parse=split_list,
    ),
    SpecFlag(
        "methods",
        "--methods",
        'Methods, e.g. "sft,rpo(partition=leave_one_out)".',
        parse=method_settings,
    ),
    SpecFlag(
        "strengths",
        "--strengths",
        'Strengths, e.g. "rpo=0.3,1;kto=0.1", or one list for all methods.',
        parse=parse_strengths,
    ),
    SpecFlag(
        "kl_budgets",
        "--kl-budgets",
        'KLs in nats, e.g. "0.3,0.5": adds strengths near them.',
        parse=parse_nats,
    ),
    SpecFlag("placed", "--placed", "Most strengths to add per method; 6 by default."),
    SpecFlag(
        "seeds", "--seeds", 'Training seeds, e.g. "0,1,2" or "0-4".', aliases=("--seed",), parse=parse_seeds
    ),
    SpecFlag(
        "learning_rates",
        "--sweep",
        'Learning rates for every cell, e.g. "lr=1e-4,2e-4".',
        parse=parse_sweep,
    ),
    SpecFlag(
        "budgets", "--budgets", 'Multiples of the steps for every cell, e.g. "1,3,10".', parse=parse_budgets
    ),
    SpecFlag(
        "data.file",
        "--data",
        "Train on this file of (prompt, response, reward) rows; without --task, some of "
        "its prompts are held out for evaluation.",
        metavar="FILE",
    ),
    *(
        SpecFlag(f"data.columns.{name}", flag_of(name), text, metavar="NAME")
        for name, text in _COLUMNS.items()
    ),
    SpecFlag("data.split", "--split", "Read only this split of --data."),
    SpecFlag("data.variant", "--data-variant", "Which of the task's own data sets."),
    SpecFlag(
        "data.responses_per_prompt",
        "--responses-per-prompt",
        "Use only the first N responses of each prompt.",
    ),
    SpecFlag("data.test_fraction", "--test-fraction", "Share of the prompts of --data to hold out."),
    SpecFlag("data.skip_bad", "--skip-bad-lines", "Skip rows that can't be used.", switch=True),
    SpecFlag(
        "data.long",
        "--truncate",
        "Truncate rows and prompts that don't fit the model's context.",
        switch="truncate",
    ),
    SpecFlag(
        "data.long", "--drop-long", "Drop rows and prompts that don't fit the model's context.", switch="drop"
    ),
    SpecFlag(
        "data.max_length",
        "--max-length",
        "Most tokens of prompt and response together, of each for an encoder-decoder; as a shorter context.",
    ),
    SpecFlag("training.steps", "--steps", pinned=True),
    SpecFlag("training.batch_size", "--batch-size", pinned=True),
    SpecFlag(
        "training.micro_batch_size",
        "--micro-batch-size",
        "Rows per forward pass; saves memory, doesn't affect results. Halved when memory runs out.",
    ),
    SpecFlag(
        "training.tokens_per_micro_batch",
        "--tokens-per-micro-batch",
        "Most tokens of a forward pass; saves memory, doesn't affect results.",
    ),
    SpecFlag(
        "training.gradient_checkpointing",
        "--gradient-checkpointing",
        "Compute activations again in the backward pass; saves memory, takes a third longer.",
        switch=True,
    ),
    SpecFlag(
        "training.learning_rate",
        "--learning-rate",
        "Learning rate of every method; by default the task's, or the method's own for the model's width.",
    ),
    SpecFlag("training.warmup_steps", "--warmup-steps", "Warm-up steps of the learning rate.", pinned=True),
    SpecFlag(
        "training.optim",
        "--optim",
        "Optimiser: adamw, adafactor, or, by bitsandbytes, adamw-8bit or paged-adamw-8bit.",
        metavar="NAME",
    ),
    SpecFlag("training.weight_decay", "--weight-decay", "Weight decay of AdamW."),
    SpecFlag(
        "training.adam_betas",
        "--adam-betas",
        "AdamW's decay of the running means of gradients and of their squares, e.g. 0.9,0.95.",
        metavar="B1,B2",
        parse=split_list,
    ),
    SpecFlag(
        "training.max_grad_norm", "--max-grad-norm", "Maximum norm for --clipping absolute.", pinned=True
    ),
    SpecFlag(
        "training.dtype",
        "--dtype",
        "Number format: auto, float32, bfloat16 or bfloat16-weights.",
        metavar="DTYPE",
        pinned=True,
    ),
    SpecFlag("training.probe_every", "--probe-every", pinned=True),
    SpecFlag(
        "training.save_every",
        "--save-every",
        "Steps between checkpoints for resuming; 0: none.",
        pinned=True,
    ),
    SpecFlag(
        "training.keep_checkpoints",
        "--keep-checkpoints",
        "last, or also the policy of the probe with the best reward (best), or of every probe (all); the "
        "last is what is measured.",
        metavar="WHICH",
    ),
    SpecFlag(
        "training.report_to",
        "--report-to",
        "Also log to tensorboard, wandb or trackio, separated by commas.",
        parse=lambda text: list(dict.fromkeys(split_list(text))),
    ),
    SpecFlag(
        "training.reward",
        "--train-reward",
        "Training reward of online methods: gold, proxy, python:FILE:FUNCTION, hf:FOLDER, "
        "or a sum such as proxy*0.5+gold*0.5.",
    ),
    SpecFlag(
        "training.rollouts",
        "--rollouts",
        "What samples the policy in training: hf (transformers) or vllm (decoder-only models).",
        metavar="hf|vllm",
    ),
    SpecFlag("training.lora.rank", "--lora-rank", "Train low-rank adapters of this rank.", pinned=True),
    SpecFlag("training.lora.alpha", "--lora-alpha", "Scale of the adapters; needs --lora-rank.", pinned=True),
    SpecFlag(
        "evaluation.prompts",
        "--eval-prompts",
        "test: the held-out ones; tuning: those of the task, or a fifth of the training prompts.",
        metavar="WHICH",
    ),
    SpecFlag("evaluation.n_samples", "--n-samples", pinned=True, called="samples per prompt"),
    SpecFlag(
        "evaluation.limit",
        "--limit",
        "Use only the first N held-out prompts.",
        called="number of prompts (--limit)",
    ),
    SpecFlag(
        "evaluation.batch_size",
        "--eval-batch-size",
        "Sequences per sampling batch.",
        pinned=True,
        called="generation batch size",
    ),
    SpecFlag(
        "evaluation.seed", "--eval-seed", "Seed of the sampling.", pinned=True, called="generation seed"
    ),
    SpecFlag(
        "evaluation.toxicity",
        "--toxicity",
        "profanity, detoxify:VARIANT, detoxify:FILE, hate-speech, hf:FOLDER, none.",
        pinned=True,
        called="toxicity classifier",
    ),
    SpecFlag(
        "evaluation.reward",
        "--reward",
        "Gold reward instead of the task's: python:FILE:FUNCTION or hf:FOLDER.",
        called="reward function",
    ),
    SpecFlag(
        "evaluation.decoding",
        "--gen-kwargs",
        "Decoding, e.g. temperature=0.7,top_k=50,max_new_tokens=64, or preset=rpo-paper.",
    ),
    SpecFlag(
        "generation.backend",
        "--generation-backend",
        "hf (transformers, the default), vllm (its offline engine), or openai (a server of completions; "
        "eval only).",
    ),
    SpecFlag(
        "prompt_format",
        "--prompt-format",
        "Format of prompts: none, chat (the tokenizer's template), a .jinja chat "
        "template, or a text file with {prompt} in it. Required for models with a chat "
        "template.",
    ),
    SpecFlag("system_prompt", "--system-prompt", "System message of a chat format.", metavar="TEXT"),
    SpecFlag(
        "loading.dtype",
        "--model-dtype",
        "Number format of loaded weights: float32 (default), bfloat16 or float16; full "
        "training keeps float32. autocast: float32 weights and bfloat16 passes.",
        metavar="DTYPE",
    ),
    SpecFlag(
        "loading.quantization",
        "--quantization",
        "nf4: load weights in 4 bits by bitsandbytes, to train adapters on them (QLoRA).",
        metavar="KIND",
    ),
    SpecFlag(
        "loading.device_map",
        "--device-map",
        "Distributes a model over devices when measuring, e.g. auto.",
    ),
    SpecFlag(
        "loading.attn_implementation", "--attn-implementation", "Attention: eager, sdpa, flash_attention_2 …"
    ),
    SpecFlag("loading.revision", "--revision", "Branch, tag or commit of hub models."),
    # Last, as in the commands of the first published records.
    SpecFlag(
        "training.batches",
        "--batches",
        "uniform: random rows; by_length: rows sorted by length, as in version 0.1.",
        metavar="HOW",
    ),
    SpecFlag(
        "training.clipping",
        "--clipping",
        "Gradient clipping: relative to a method's own recent norms, none, or absolute (version 0.1).",
        metavar="HOW",
    ),
)

BY_FLAG: Mapping[str, SpecFlag] = {one.flag: one for one in SPEC_FLAGS}


def flags_of(*parts: str) -> Iterator[SpecFlag]:
    """The flags of parts of a spec, such as ``training``, in the table's order."""
    return (one for one in SPEC_FLAGS if one.field.partition(".")[0] in parts)


def called_in_sentences(field: str) -> str:
    """A field's name in sentences: ``evaluation.seed`` is the "generation seed"."""
    names = (one.called for one in SPEC_FLAGS if one.field == field)
    return next(names, "") or " ".join(field.split(".")[1:])


def value_at(spec: BaseModel | Mapping[str, Any], field: str) -> Any:
    """The value of a field by its dotted name; None if a part of the path is missing."""
    here: Any = spec
    for name in field.split("."):
        here = here.get(name) if isinstance(here, Mapping) else getattr(here, name, None)
    return here


def set_at(settings: dict[str, Any], field: str, value: Any) -> None:
    """Sets a field of nested settings by its dotted name."""
    *parts, last = field.split(".")
    for name in parts:
        settings = settings.setdefault(name, {})
    settings[last] = value


@cache
def field_of(field: str) -> FieldInfo:
    """The field's definition in ``RunSpec``; for keys of a mapping, that of the mapping's values."""
    here: Any = RunSpec
    found = FieldInfo()
    for name in field.split("."):
        if here is None:  # within a mapping
            return FieldInfo(default=None)
        found = here.model_fields[name]
        kinds = (found.annotation, *get_args(found.annotation))
        here = next((kind for kind in kinds if _is_model(kind)), None)
    return found


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
