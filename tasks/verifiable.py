"""Builds an embedded task whose reward is a verifier: prompts, policies, rows, reference samples."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpo_bench.data.row import Prompt
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.models.base_shape import BaseSettings
from rpo_bench.models.base_texts import TextPair
from rpo_bench.models.hf import HFModel
from rpo_bench.verifier import Verifier
from tasks.building import (
    derived_seed,
    one_thread,
    pretrained,
    sampled_responses,
    sampled_rewards,
    with_reference_rewards,
    write_oracle,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class World:
    """A verifiable task before anything is learnt of it.

    Attributes:
        train: Prompts to train on.
        heldout: Prompts to measure on, of problems that are neither trained on nor pretrained on.
        probe: Prompts to follow in training; of problems that are in neither of the other parts.
        texts: What reference policies are pretrained on.
        heldout_texts: What their perplexity is measured on.
        verifier: Tells right from wrong.
        limit: Tokens of a response.
        models: Name → shape and training of a reference policy.
    """

    train: Sequence[Prompt]
    heldout: Sequence[Prompt]
    probe: Sequence[Prompt]
    texts: Sequence[TextPair]
    heldout_texts: Sequence[TextPair]
    verifier: Verifier
    limit: int
    models: Mapping[str, BaseSettings]


@dataclass(frozen=True)
class Samples:
    """How much is sampled from a reference policy.

    Attributes:
        responses: K, training rows per prompt.
        reference: Reference rewards per training prompt.
        oracle: N, reference samples per held-out prompt.
    """

    responses: int = 8
    reference: int = 32
    oracle: int = 512


def build_world(out: Path, world: World, samples: Samples, seed: int) -> None:
    """Builds the world into ``out``, which may exist; on one machine the same seed gives the same bytes."""
    with one_thread():
        write_json_lines(out / "prompts/heldout.jsonl", world.heldout)
        write_json_lines(out / "prompts/probe.jsonl", world.probe)
        for name, settings in world.models.items():
            model = pretrained(out / "models" / name, world.texts, world.heldout_texts, settings)
            _write_samples(out, name, model, world, samples, seed)
            log.info("%s: data written", name)


def _write_samples(out: Path, name: str, model: HFModel, world: World, samples: Samples, seed: int) -> None:
    """Everything that is sampled from one reference policy."""
    rows = _rows(model, world, samples.responses, derived_seed(seed, f"on_policy {name}"))
    reference = sampled_rewards(
        model,
        world.train,
        samples.reference,
        world.verifier,
        world.limit,
        derived_seed(seed, f"reference {name}"),
    )
    known = {prompt.prompt_id: rewards for prompt, rewards in zip(world.train, reference, strict=True)}
    write_json_lines(out / f"data/on_policy-{name}.jsonl.gz", with_reference_rewards(rows, known))
    oracle = sampled_rewards(
        model,
        world.heldout,
        samples.oracle,
        world.verifier,
        world.limit,
        derived_seed(seed, f"oracle {name}"),
    )
    write_oracle(out / f"reference/{name}.npz", world.heldout, oracle)


def _rows(model: HFModel, world: World, n: int, seed: int) -> list[dict[str, object]]:
    """n responses per training prompt with the verifier's 1 or 0, as rows."""
    drawn = sampled_responses(model, world.train, n, world.limit, seed)
    by_id = {prompt.prompt_id: prompt for prompt in world.train}
    prompts = [by_id[sample.prompt_id] for sample, _ in drawn]
    verdicts = world.verifier(prompts, [sample.text for sample, _ in drawn])
    return [
        {
            "prompt": sample.prompt,
            "response": sample.text,
            "reward": verdict,
            "prompt_id": sample.prompt_id,
            "behaviour_logp": round(logp, 5),
            "metadata": prompt.metadata,
        }
        for (sample, logp), prompt, verdict in zip(drawn, prompts, verdicts, strict=True)
    ]
