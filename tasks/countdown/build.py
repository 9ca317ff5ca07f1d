"""Rebuilds everything in this folder that isn't written by hand, from a seed.

    python -m tasks.countdown.build [--out DIR] [--seed N]

Prompts, the reference policy, training rows, and the reference samples behind the oracle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from numpy.random import Generator

from rpo_bench.models.base_shape import BaseSettings
from rpo_bench.models.base_texts import TextPair
from tasks.building import generator, show_progress
from tasks.countdown.players import TYPICAL, answer
from tasks.countdown.problems import MAX_NEW_TOKENS, Problem, ask, every_problem
from tasks.countdown.reward import right_expression
from tasks.verifiable import Samples, World, build_world

_CONTEXT = 32


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    Attributes:
        train: Prompts to train on.
        heldout: Prompts to measure on.
        probe: Prompts to follow in training.
        texts: Players' answers per problem in the pretraining texts.
        steps: Pretraining steps of the reference policy.
        hidden_size: Its width.
        samples: What is sampled from it.
    """

    train: int = 800
    heldout: int = 200
    probe: int = 64
    texts: int = 12
    steps: int = 6000
    hidden_size: int = 64
    samples: Samples = field(default_factory=Samples)


@dataclass(frozen=True)
class Parts:
    """The problems dealt out."""

    pretraining: list[Problem]
    train: list[Problem]
    heldout: list[Problem]
    probe: list[Problem]


def main(
    out: Annotated[Path, typer.Option(help="folder to build in")] = Path(__file__).parent,
    seed: Annotated[int, typer.Option(min=0, help="of everything that is random")] = 0,
) -> None:
    """Rebuilds the world's prompts, model, data and reference samples."""
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
        verifier=right_expression,
        limit=MAX_NEW_TOKENS,
        models={"decoder": _settings(scale, seed)},
    )
    build_world(out, world, scale.samples, seed)


def deal(seed: int, scale: Scale) -> Parts:
    """Deals the problems out: what is held out or probed is in no other part; the rest is pretrained on.

    The training prompts are some of those that are pretrained on.
    """
    rng = generator(seed, "deal")
    problems = list(every_problem())
    chosen = [problems[i] for i in rng.permutation(len(problems))]
    ends = (scale.heldout, scale.heldout + scale.probe, scale.heldout + scale.probe + scale.train)
    return Parts(
        pretraining=sorted(chosen[ends[1] :]),
        train=chosen[ends[1] : ends[2]],
        heldout=chosen[: ends[0]],
        probe=chosen[ends[0] : ends[1]],
    )


def _texts(rng: Generator, problems: Sequence[Problem], n: int) -> list[TextPair]:
    return [TextPair(ask(p).text, answer(rng, TYPICAL, p)) for p in problems for _ in range(n)]


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
