"""How the problems of a verifiable task are dealt out, and what is asked and told of each part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from numpy.random import Generator

from rpo_bench.data.row import Prompt
from rpo_bench.models.base_shape import BaseSettings
from rpo_bench.models.base_texts import TextPair
from rpo_bench.verifier import Verifier
from tasks.building import generator
from tasks.verifiable import Samples, World

P = TypeVar("P")

_HELDOUT_TEXTS = 4  # per held-out problem, for the perplexity


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    Attributes:
        train: Prompts to train on.
        heldout: Prompts to measure on.
        probe: Prompts to follow in training.
        texts: Answers per problem in the pretraining texts.
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
class Parts(Generic[P]):
    """The problems dealt out. What is held out or probed is in no other part.

    Attributes:
        pretraining: What reference policies have seen; the training problems are among them.
        train: What methods are trained on.
        heldout: What is measured on.
        probe: What is followed in training.
    """

    pretraining: list[P]
    train: list[P]
    heldout: list[P]
    probe: list[P]


def dealt(shuffled: Sequence[P], scale: Scale, pretraining: Callable[[Sequence[P]], list[P]]) -> Parts[P]:
    """The first problems are held out, the next probed; the rest are pretrained on, its first trained on.

    Args:
        shuffled: All problems, in random order.
        scale: How many go where.
        pretraining: The problems to pretrain on, from the rest.
    """
    probe, train = scale.heldout, scale.heldout + scale.probe
    return Parts(
        pretraining=pretraining(shuffled[train:]),
        train=list(shuffled[train : train + scale.train]),
        heldout=list(shuffled[:probe]),
        probe=list(shuffled[probe:train]),
    )


@dataclass(frozen=True)
class Game(Generic[P]):
    """What is asked, what the speakers behind the pretraining texts answer, and what is right.

    Attributes:
        ask: The prompt of a problem.
        answer: A speaker's answer, at random.
        verifier: Tells right from wrong.
        limit: Tokens of a response.
    """

    ask: Callable[[P], Prompt]
    answer: Callable[[Generator, P], str]
    verifier: Verifier
    limit: int


def world_of(
    parts: Parts[P], game: Game[P], scale: Scale, models: dict[str, BaseSettings], seed: int
) -> World:
    """The task before anything is learnt of it."""

    def texts(what: str, problems: Sequence[P], n: int) -> list[TextPair]:
        rng = generator(seed, what)
        return [TextPair(game.ask(p).text, game.answer(rng, p)) for p in problems for _ in range(n)]

    return World(
        train=[game.ask(problem) for problem in parts.train],
        heldout=[game.ask(problem) for problem in parts.heldout],
        probe=[game.ask(problem) for problem in parts.probe],
        texts=texts("texts", parts.pretraining, scale.texts),
        heldout_texts=texts("held-out texts", parts.heldout, _HELDOUT_TEXTS),
        verifier=game.verifier,
        limit=game.limit,
        models=models,
    )
