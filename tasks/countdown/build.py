"""Rebuilds everything in this folder that isn't written by hand, from a seed.

    python -m tasks.countdown.build [--out DIR] [--seed N]

Prompts, the reference policy, training rows, and the reference samples behind the oracle.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from rpo_bench.models.base_shape import BaseSettings
from tasks import dealing
from tasks.building import generator, show_progress
from tasks.countdown.players import TYPICAL, answer
from tasks.countdown.problems import MAX_NEW_TOKENS, Problem, ask, every_problem
from tasks.countdown.reward import right_expression
from tasks.dealing import Game, Parts, dealt, world_of
from tasks.verifiable import build_world

_CONTEXT = 32


@dataclass(frozen=True)
class Scale(dealing.Scale):
    """How much of everything.

    Attributes:
        hidden_size: The reference policy's width.
    """

    texts: int = 12
    steps: int = 6000
    hidden_size: int = 64


def main(
    out: Annotated[Path, typer.Option(help="folder to build in")] = Path(__file__).parent,
    seed: Annotated[int, typer.Option(min=0, help="of everything that is random")] = 0,
) -> None:
    """Rebuilds the world's prompts, model, data and reference samples."""
    show_progress()
    build(out, seed, Scale())


def build(out: Path, seed: int, scale: Scale) -> None:
    """Builds the world into ``out``, which may exist."""
    game = Game(ask, lambda rng, problem: answer(rng, TYPICAL, problem), right_expression, MAX_NEW_TOKENS)
    models = {"decoder": _settings(scale, seed)}
    world = world_of(deal(seed, scale), game, scale, models, seed)
    build_world(out, world, scale.samples, seed)


def deal(seed: int, scale: Scale) -> Parts[Problem]:
    """Deals the problems out: what is held out or probed is in no other part; the rest is pretrained on.

    The training prompts are some of those that are pretrained on.
    """
    rng = generator(seed, "deal")
    problems = list(every_problem())
    chosen = [problems[i] for i in rng.permutation(len(problems))]
    return dealt(chosen, scale, sorted)


def _settings(scale: Scale, seed: int) -> BaseSettings:
    return BaseSettings(
        architecture="decoder",
        tokenizer="word",
        hidden_size=scale.hidden_size,
        layers=2,
        context_length=_CONTEXT,
        steps=scale.steps,
        batch_size=64,
        learning_rate=4e-3,
        seed=seed,
    )


if __name__ == "__main__":
    typer.run(main)
