"""Rebuilds everything in this folder that isn't written by hand, from a seed.

    python -m tasks.arithmetic.build [--out DIR] [--seed N]

Prompts, two reference policies, training rows, and the reference samples behind the oracle.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rpo_bench.models.base_shape import BaseSettings
from tasks.arithmetic.pupils import TYPICAL, answer
from tasks.arithmetic.reward import right_sum
from tasks.arithmetic.sums import LARGEST, MAX_NEW_TOKENS, SMALLEST, Sum, ask
from tasks.building import generator, show_progress
from tasks.dealing import Game, Parts, Scale, dealt, world_of
from tasks.verifiable import build_world

_CONTEXT = 16
_SHAPES = {
    "decoder": BaseSettings(architecture="decoder", hidden_size=64, feed_forward=160),
    "encoder-decoder": BaseSettings(architecture="encoder-decoder", hidden_size=48, feed_forward=48),
}
_LAYERS = {"decoder": 2, "encoder-decoder": 1}


def main(
    out: Annotated[Path, typer.Option(help="folder to build in")] = Path(__file__).parent,
    seed: Annotated[int, typer.Option(min=0, help="of everything that is random")] = 0,
) -> None:
    """Rebuilds the world's prompts, models, data and reference samples."""
    show_progress()
    build(out, seed, Scale())


def build(out: Path, seed: int, scale: Scale) -> None:
    """Builds the world into ``out``, which may exist."""
    game = Game(ask, lambda rng, problem: answer(rng, TYPICAL, problem), right_sum, MAX_NEW_TOKENS)
    models = {name: _settings(name, scale.steps, seed) for name in _SHAPES}
    world = world_of(deal(seed, scale), game, scale, models, seed)
    build_world(out, world, scale.samples, seed)


def deal(seed: int, scale: Scale) -> Parts[Sum]:
    """Deals the sums out: what is held out or probed is in no other part; the rest is pretrained on.

    The training prompts are some of those that are pretrained on.
    """
    rng = generator(seed, "deal")
    numbers = range(SMALLEST, LARGEST + 1)
    pairs = [(a, b) for a in numbers for b in numbers if a <= b]
    order = rng.permutation(len(pairs))
    turned = rng.random(len(pairs)) < 0.5
    chosen = [Sum(*(pairs[i][::-1] if turned[i] else pairs[i])) for i in order]
    return dealt(chosen, scale, _with_mirrored)


def _with_mirrored(problems: Sequence[Sum]) -> list[Sum]:
    """A sum and its mirror image (47 + 85 and 85 + 47) are always in the same part."""
    return sorted({*problems, *(Sum(problem.second, problem.first) for problem in problems)})


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
