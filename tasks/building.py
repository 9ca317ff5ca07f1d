"""Helpers for builders of embedded tasks: seeds, pretraining, and samples of a policy."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpo_bench.data.row import Prompt
from rpo_bench.files.atomic import atomic_file
from rpo_bench.models.base_lm import train_base
from rpo_bench.models.base_shape import BaseSettings
from rpo_bench.models.base_texts import TextPair
from rpo_bench.models.hf import HFModel
from rpo_bench.models.protocol import Generation
from rpo_bench.spec.sections import Decoding
from rpo_bench.tasks.task import RewardFunction

_BATCH = 256  # sequences per batch
_SPARE = 4  # extra samples, for those whose text isn't tokenised back to the sampled tokens
_REPORT_EVERY = 200  # steps

log = logging.getLogger(__name__)


def generator(seed: int, what: str) -> np.random.Generator:
    """A separate random generator for each use."""
    return np.random.default_rng([seed, *what.encode()])


def derived_seed(seed: int, what: str) -> int:
    """A separate seed for each use, far from the small seeds of evaluations."""
    return int(generator(seed, what).integers(2**20, 2**31))


def show_progress() -> None:
    """Logs a builder's progress, and silences the libraries."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for logger in ("httpx", "transformers"):
        logging.getLogger(logger).setLevel(logging.WARNING)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sets torch to one thread, so that sums have a fixed order and results are bitwise reproducible."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def pretrained(
    out: Path, train: Sequence[TextPair], heldout: Sequence[TextPair], settings: BaseSettings
) -> HFModel:
    """Pretrains a policy on texts and saves it to ``out``."""
    report = train_base(train, heldout, settings, out, _tell_every(_REPORT_EVERY))
    log.info(
        "%s: %d parameters, held-out perplexity %.3f, %.0f s",
        out.name,
        report.parameters,
        report.perplexity,
        report.seconds,
    )
    return HFModel.load(out, device="cpu")


def sampled_responses(
    model: HFModel, prompts: Sequence[Prompt], n: int, limit: int, seed: int
) -> list[tuple[Generation, float]]:
    """Samples n responses to each prompt, with their log-probability under the model.

    Only finished responses whose text is tokenised to the sampled tokens are kept, so that a row of text
    represents the sample exactly.

    Args:
        model: the policy.
        prompts: the prompts.
        n: responses per prompt; may be fewer if too many are unusable.
        limit: limit on response tokens.
        seed: seed of the sampling.
    """
    decoding = Decoding(max_new_tokens=limit)
    drawn = model.generate(prompts, n + _SPARE, decoding, seed, _BATCH)
    groups = [drawn[start : start + n + _SPARE] for start in range(0, len(drawn), n + _SPARE)]
    chosen = [sample for group in groups for sample in _usable(model, group)[:n]]
    logps = model.token_logps([s.prompt for s in chosen], [s.token_ids for s in chosen], _BATCH)
    return [(s, float(logp.astype(np.float64).sum())) for s, logp in zip(chosen, logps, strict=True)]


def sampled_rewards(
    model: HFModel, prompts: Sequence[Prompt], n: int, reward: RewardFunction, limit: int, seed: int
) -> NDArray[np.float64]:
    """Rewards of n samples for each of P prompts; (P, n)."""
    drawn = model.generate(prompts, n, Decoding(max_new_tokens=limit), seed, _BATCH)
    asked = [prompt for prompt in prompts for _ in range(n)]
    rewards = np.array(reward(asked, [sample.text for sample in drawn]), dtype=np.float64)
    return rewards.reshape(len(prompts), n)


def with_reference_rewards(
    rows: Sequence[dict[str, object]], rewards: Mapping[str, NDArray[np.float64]]
) -> list[dict[str, object]]:
    """Adds each prompt's reference rewards to its first row, which applies to all rows."""
    waiting = dict(rewards)
    found = []
    for row in rows:
        mine = waiting.pop(str(row["prompt_id"]), None)
        extra = {} if mine is None else {"reference_rewards": [round(float(r), 3) for r in mine]}
        found.append(row | extra)
    return found


def write_oracle(file: Path, prompts: Sequence[Prompt], rewards: NDArray[np.float64]) -> None:
    """Writes the rewards (P, N) of reference samples for P held-out prompts, for the oracle."""
    with atomic_file(file) as temporary, temporary.open("wb") as stream:
        ids = np.array([prompt.prompt_id for prompt in prompts])
        np.savez_compressed(stream, rewards=rewards.astype(np.float32), prompt_ids=ids)


def _usable(model: HFModel, samples: Sequence[Generation]) -> list[Generation]:
    ids = model.tokenizer([sample.text for sample in samples], add_special_tokens=False).input_ids
    eos = model.tokenizer.eos_token_id
    pairs = zip(samples, ids, strict=True)
    return [sample for sample, own in pairs if sample.text and sample.token_ids == (*own, eos)]


def _tell_every(steps: int) -> Callable[[int, int, float], None]:
    def tell(step: int, total: int, loss: float) -> None:
        if step % steps == 0:
            log.info("step %d of %d, loss %.3f", step, total, loss)

    return tell
