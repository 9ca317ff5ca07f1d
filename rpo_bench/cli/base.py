"""``rpo-bench base``: a tokenizer and a small language model from a file of texts."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.column_flags import ColumnFlags
from rpo_bench.cli.console import print_facts
from rpo_bench.cli.making import OutputPath, check_target, loss_bar
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.errors import UserError
from rpo_bench.files.plain_data import MAX_SEED

if TYPE_CHECKING:
    from rpo_bench.models.base_lm import BaseReport
    from rpo_bench.models.base_shape import BaseSettings


class Architecture(StrEnum):
    """Kind of model."""

    decoder = "decoder"
    encoder_decoder = "encoder-decoder"


class TokenizerKind(StrEnum):
    """Kind of tokenizer."""

    bpe = "bpe"
    word = "word"
    character = "character"


@dataclass(frozen=True)
class ShapeFlags:
    """The model's architecture."""

    tokenizer: Annotated[
        TokenizerKind,
        flag(
            "--tokenizer",
            "Byte-level BPE, or whole words or single characters for a small closed vocabulary.",
            "Shape",
        ),
    ] = TokenizerKind.bpe
    vocab_size: Annotated[
        int | None, flag("--vocab-size", "Vocabulary size; by default sized to the data.", "Shape", min=8)
    ] = None
    hidden_size: Annotated[int, flag("--hidden-size", "Width.", "Shape", min=8)] = 128
    layers: Annotated[int, flag("--layers", "Decoder layers; an encoder has as many.", "Shape", min=1)] = 4
    heads: Annotated[
        int | None, flag("--heads", "Attention heads; by default sized to the width.", "Shape", min=1)
    ] = None
    context_length: Annotated[
        int | None,
        flag(
            "--context-length",
            "Context length in tokens; by default what the data need, up to 2048.",
            "Shape",
            min=8,
        ),
    ] = None


@dataclass(frozen=True)
class PretrainingFlags:
    """Training settings."""

    steps: Annotated[int, flag("--steps", "Optimiser steps.", "Training", min=1)] = 2000
    batch_size: Annotated[int, flag("--batch-size", "Texts per optimiser step.", "Training", min=2)] = 32
    learning_rate: Annotated[
        float | None, flag("--learning-rate", "Peak learning rate; 0.2 / hidden size by default.", "Training")
    ] = None
    seed: Annotated[
        int, flag("--seed", "Seed of weights, batches and held-out texts.", "Training", min=0, max=MAX_SEED)
    ] = 0
    heldout_fraction: Annotated[
        float, flag("--heldout-fraction", "Share of the prompts to measure perplexity on.", "Training")
    ] = 0.05
    threads: Annotated[
        int,
        flag("--threads", "Threads of torch; they change the weights in the last bits.", "Training", min=1),
    ] = 1


@with_flags
def base(
    data: Annotated[
        str,
        typer.Option(
            help="Rows or preference pairs in any format that `data check` accepts, or a .txt file."
        ),
    ],
    out: OutputPath,
    shape: ShapeFlags,
    training: PretrainingFlags,
    columns: ColumnFlags,
    arch: Annotated[Architecture, typer.Option(help="Kind of model.")] = Architecture.decoder,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing model folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Train a tokenizer and a small language model on a file.

    The model imitates every response in the file, good and bad: it is the reference policy of these data.
    """
    settings = _settings(arch, shape, training)
    check_target(out, overwrite)
    from rpo_bench.models.base_texts import read_texts

    texts = read_texts(data, training.heldout_fraction, training.seed, columns.columns)

    import torch

    from rpo_bench.models.base_lm import train_base

    torch.set_num_threads(training.threads)
    with loss_bar("pretraining", settings.steps, quiet) as tell:
        progress = None if tell is None else lambda step, _, loss: tell(step, loss)
        report = train_base(texts.train, texts.heldout, settings, out, progress)
    _print_report(report, out, arch, len(texts.train))


def _settings(arch: Architecture, shape: ShapeFlags, training: PretrainingFlags) -> "BaseSettings":
    from rpo_bench.models.base_shape import BaseSettings

    if training.learning_rate is not None and not 0 < training.learning_rate < float("inf"):
        raise UserError(f"--learning-rate {training.learning_rate:g}: it must be a positive number.")
    if not 0 < training.heldout_fraction < 1:
        raise UserError(f"--heldout-fraction {training.heldout_fraction:g}: it must be between 0 and 1.")
    settings = BaseSettings(
        architecture=arch.value,
        tokenizer=shape.tokenizer.value,
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden_size,
        layers=shape.layers,
        heads=shape.heads,
        context_length=shape.context_length,
        steps=training.steps,
        batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        seed=training.seed,
    )
    settings.check()
    return settings


def _print_report(report: "BaseReport", out: Path, arch: Architecture, texts: int) -> None:
    shortened = f"{report.shortened:,} of {texts:,} texts" if report.shortened else "none of the texts"
    print_facts(
        {
            "model": f"{arch.value}, {report.parameters:,} parameters",
            "vocabulary": f"{report.vocabulary:,} tokens",
            "context": f"{report.context_length:,} tokens ({shortened} cut to it)",
            "held-out perplexity": f"{report.perplexity:.3f} per token (of {report.heldout_tokens:,})",
            "trained": f"{report.tokens:,} tokens in {report.seconds:.0f} s",
            "saved": str(out),
        }
    )
