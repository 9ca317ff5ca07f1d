"""Rebuilds everything in this folder that isn't written by hand, from a seed.

    python -m tasks.arithmetic.build [--out DIR] [--seed N]

Prompts, two reference policies, training rows, and the reference samples behind the oracle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from numpy.random import Generator

from rpo_bench.models.base_shape import BaseSettings
from rpo_bench.models.base_texts import TextPair
from tasks.arithmetic.pupils import TYPICAL, answer
from tasks.arithmetic.reward import right_sum
from tasks.arithmetic.sums import LARGEST, MAX_NEW_TOKENS, SMALLEST, Sum, ask
from tasks.building import generator, show_progress
from tasks.verifiable import Samples, World, build_world

_CONTEXT = 16
_SHAPES = {
    "decoder": BaseSettings(architecture="decoder", hidden_size=64, feed_forward=160),
    "encoder-decoder": BaseSettings(architecture="encoder-decoder", hidden_size=48, feed_forward=48),
}
_LAYERS = {"decoder": 2, "encoder-decoder": 1}


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    Attributes:
        train: Prompts to train on.
        heldout: Prompts to measure on.
        probe: Prompts to follow in training.
        texts: Pupils' answers per sum in the pretraining texts.
        steps: Pretraining steps of a reference policy.
        samples: What is sampled from it.
    """

    train: int = 800
    heldout: int = 200
    probe: int = 64
    texts: int = 24
    steps: int = 3600
    samples: Samples = field(default_factory=Samples)


@dataclass(frozen=True)
class Parts:
    """The sums dealt out; a sum and its mirror image (47 + 85 and 85 + 47) are always in the same part."""

    pretraining: list[Sum]
    train: list[Sum]
    heldout: list[Sum]
    probe: list[Sum]


def main(
    out: Annotated[Path, typer.Option(help="folder to build in")] = Path(__file__).parent,
    seed: Annotated[int, typer.Option(min=0, help="of everything that is random")] = 0,
) -> None:
    """Rebuilds the world's prompts, models, data and reference samples."""
    show_progress()
    build(out, seed, Scale())


def build(out: Path, seed: int, scale: Scale) -> None:
    """Builds the world into ``out``, which may exist."""
    parts = deal(seed, scale)
    world = World(
        train=[ask(problem) for problem in parts.train],
        heldout=[ask(problem) for problem in parts.heldout],
        probe=[ask(problem) for problem in parts.probe],
        texts=_texts(generator(seed, "texts"), parts.pretraining, scale.texts),
        heldout_texts=_texts(generator(seed, "held-out texts"), parts.heldout, 4),
        verifier=right_sum,
        limit=MAX_NEW_TOKENS,
        models={name: _settings(name, scale.steps, seed) for name in _SHAPES},
    )
    build_world(out, world, scale.samples, seed)


def deal(seed: int, scale: Scale) -> Parts:
    """Deals the sums out: what is held out or probed is in no other part; the rest is pretrained on.

    The training prompts are some of those that are pretrained on.
    """
    rng = generator(seed, "deal")
    numbers = range(SMALLEST, LARGEST + 1)
    pairs = [(a, b) for a in numbers for b in numbers if a <= b]
    order = rng.permutation(len(pairs))
    turned = rng.random(len(pairs)) < 0.5
    chosen = [Sum(*(pairs[i][::-1] if turned[i] else pairs[i])) for i in order]
    ends = (scale.heldout, scale.heldout + scale.probe, scale.heldout + scale.probe + scale.train)
    rest = chosen[ends[1] :]
    mirrored = [Sum(problem.second, problem.first) for problem in rest]
    return Parts(
        pretraining=sorted({*rest, *mirrored}),
        train=chosen[ends[1] : ends[2]],
        heldout=chosen[: ends[0]],
        probe=chosen[ends[0] : ends[1]],
    )


def _texts(rng: Generator, problems: Sequence[Sum], n: int) -> list[TextPair]:
    return [TextPair(ask(p).text, answer(rng, TYPICAL, p)) for p in problems for _ in range(n)]


def _settings(name: str, steps: int, seed: int) -> BaseSettings:
    training = {
        "tokenizer": "character",
        "layers": _LAYERS[name],
        "context_length": _CONTEXT,
        "steps": steps,
        "batch_size": 64,
        "learning_rate": 4e-3,
        "seed": seed,
    }
    return _SHAPES[name].model_copy(update=training)


if __name__ == "__main__":
    typer.run(main)
