"""Rebuilds everything in this folder that isn't written by hand, from a seed.

    python -m tasks.civil_qa.build [--out DIR] [--seed N]

The world's prompts, two reference policies, the policy behind the off-policy data, training rows, the
reference samples behind the oracle, the proxy of the reward, and the judge. On one machine the same seed
gives the same bytes.
"""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from rpo_bench.data.row import Prompt
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.models.base_shape import BaseSettings
from rpo_bench.models.base_texts import TextPair
from rpo_bench.models.hf import HFModel
from tasks.building import (
    derived_seed,
    generator,
    one_thread,
    pretrained,
    sampled_rewards,
    show_progress,
    with_reference_rewards,
    write_oracle,
)
from tasks.civil_qa import judge
from tasks.civil_qa.facts import DOMAINS, Key, facts
from tasks.civil_qa.judge_training import JudgeSettings
from tasks.civil_qa.phrases import MANNERS
from tasks.civil_qa.proxy import SAMPLES, STEPS, build_proxy
from tasks.civil_qa.questions import ask
from tasks.civil_qa.reward import gold_reward
from tasks.civil_qa.sampling import MAX_NEW_TOKENS, NOISE, sampled_rows
from tasks.civil_qa.speakers import SURLY, TYPICAL, Speaker, respond

_CONTEXT = 96
_PROBE_KEYS = 8
_ARCHITECTURES = {
    "decoder": BaseSettings(architecture="decoder", feed_forward=168),
    "encoder-decoder": BaseSettings(architecture="encoder-decoder", feed_forward=112),
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    Attributes:
        topics: Topics of each domain that are used at all.
        texts: Pretraining responses per prompt.
        steps: Pretraining steps of a reference policy; the other policy is trained for half as many.
        responses: K, training rows per prompt.
        reference: Reference rewards per training prompt.
        oracle: N, reference samples per held-out prompt.
    """

    topics: int = 24
    texts: int = 80
    steps: int = 6000
    responses: int = 8
    reference: int = 32
    oracle: int = 1024
    hidden_size: int = 64


@dataclass(frozen=True)
class Prompts:
    """The world's prompts. No question (topic, type) is in two of the lists."""

    train: list[Prompt]
    heldout: list[Prompt]
    tuning: list[Prompt]
    probe: list[Prompt]

    @property
    def all(self) -> list[Prompt]:
        """Every prompt: what the reference policies are pretrained on."""
        return [*self.train, *self.heldout, *self.tuning, *self.probe]


def main(
    out: Annotated[Path, typer.Option(help="folder to build in")] = Path(__file__).parent,
    seed: Annotated[int, typer.Option(min=0, help="of everything that is random")] = 0,
) -> None:
    """Rebuilds the world's prompts, models, data and reference samples."""
    show_progress()
    build(out, seed, Scale())


def build(out: Path, seed: int, scale: Scale) -> None:
    """Builds the world into ``out``, which may exist."""
    build_policies(out, seed, scale)
    with one_thread():
        build_proxy(out, seed, min(STEPS, scale.steps), min(SAMPLES, scale.oracle))
        judged = min(judge.SAMPLES, scale.oracle)
        judge.build_judge(out, seed, JudgeSettings(seed=seed).no_longer_than(scale.steps), judged)


def build_policies(out: Path, seed: int, scale: Scale) -> None:
    """The first part of :func:`build`: prompts, reference policies, and what is sampled from them."""
    with one_thread():
        prompts = split_prompts(seed, scale)
        for name in ("heldout", "tuning", "probe"):
            write_json_lines(out / f"prompts/{name}.jsonl", getattr(prompts, name))
        with tempfile.TemporaryDirectory() as temporary:
            surly = _pretrained(Path(temporary) / "surly", "decoder", SURLY, prompts, seed, scale)
            off_policy = sampled_rows(surly, prompts.train, scale.responses, seed, "off_policy")
        for name in _ARCHITECTURES:
            model = _pretrained(out / "models" / name, name, TYPICAL, prompts, seed, scale)
            _write_data(out, name, model, off_policy, prompts, seed, scale)


def split_prompts(seed: int, scale: Scale) -> Prompts:
    """Deals the questions out.

    Of every type, those about a third of the topics are held out and those about a sixth are for tuning.
    Every topic is held out in two of the six types and for tuning in one.
    """
    rng = generator(seed, "split")
    heldout: list[Key] = []
    tuning: list[Key] = []
    rest: list[Key] = []
    for domain in DOMAINS:
        topics = list(dict.fromkeys(topic for topic, kind in facts() if kind in domain.types))
        topics = [topics[i] for i in rng.permutation(len(topics))[: scale.topics]]
        third, sixth = len(topics) // 3, max(len(topics) // 6, 1)
        for place, kind in enumerate(domain.types):
            # The second half of the types starts elsewhere, so that no two types hold out the same topics.
            start = place * third + (place // 3) * sixth
            turned = [topics[(start + i) % len(topics)] for i in range(len(topics))]
            of_type = [(topic, kind) for topic in turned]
            heldout += of_type[:third]
            tuning += of_type[third : third + sixth]
            rest += of_type[third + sixth :]
    order = rng.permutation(len(rest))
    probe = [rest[i] for i in sorted(order[:_PROBE_KEYS])]
    train = [rest[i] for i in sorted(order[_PROBE_KEYS:])]
    manners = range(len(MANNERS))
    dealt = (train, heldout, tuning, probe)
    return Prompts(*([ask(key, manner) for key in keys for manner in manners] for keys in dealt))


def _pretrained(
    out: Path, architecture: str, speaker: Speaker, prompts: Prompts, seed: int, scale: Scale
) -> HFModel:
    """A policy that imitates ``speaker`` on every prompt of the world."""
    rng = generator(seed, f"texts of {'typical' if speaker is TYPICAL else 'other'} speakers")
    train = _texts(rng, speaker, prompts.all, scale.texts)
    heldout = _texts(rng, speaker, prompts.all, 1)
    settings = _ARCHITECTURES[architecture].model_copy(
        update={
            "tokenizer": "word",
            "hidden_size": scale.hidden_size,
            "layers": 2,
            "context_length": _CONTEXT,
            "steps": scale.steps if speaker is TYPICAL else max(scale.steps // 2, 1),
            "batch_size": 64,
            "learning_rate": 4e-3,
            "seed": seed,
        }
    )
    return pretrained(out, train, heldout, settings)


def _texts(rng: np.random.Generator, speaker: Speaker, prompts: list[Prompt], n: int) -> list[TextPair]:
    keys = [((p.metadata["topic"], p.metadata["type"]), p.metadata["manner"], p.text) for p in prompts]
    return [
        TextPair(text, respond(rng, speaker, key, manner)) for key, manner, text in keys for _ in range(n)
    ]


def _write_data(
    out: Path,
    name: str,
    model: HFModel,
    off_policy: list[dict[str, object]],
    prompts: Prompts,
    seed: int,
    scale: Scale,
) -> None:
    """Everything that is sampled from one reference policy."""
    on_policy = sampled_rows(model, prompts.train, scale.responses, seed, f"on_policy {name}")
    reference = _gold_rewards(model, prompts.train, scale.reference, derived_seed(seed, f"reference {name}"))
    noise = generator(seed, f"noise of reference rewards {name}").normal(0, NOISE, reference.shape)
    known = {p.prompt_id: rewards for p, rewards in zip(prompts.train, reference + noise, strict=True)}
    for variant, rows in (("on_policy", on_policy), ("off_policy", off_policy)):
        write_json_lines(out / f"data/{variant}-{name}.jsonl.gz", with_reference_rewards(rows, known))
    oracle = _gold_rewards(model, prompts.heldout, scale.oracle, derived_seed(seed, f"oracle {name}"))
    write_oracle(out / f"reference/{name}.npz", prompts.heldout, oracle)
    log.info("%s: data written", name)


def _gold_rewards(model: HFModel, prompts: list[Prompt], n: int, seed: int) -> NDArray[np.float64]:
    """Gold rewards of n samples for each of P prompts; (P, n)."""
    return sampled_rewards(model, prompts, n, gold_reward, MAX_NEW_TOKENS, seed)


if __name__ == "__main__":
    typer.run(main)
