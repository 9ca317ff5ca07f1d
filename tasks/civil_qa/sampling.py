"""Training rows and reference rewards: what is sampled from a policy."""

import numpy as np
from numpy.typing import NDArray

from rpo_bench.data.row import Prompt
from rpo_bench.models.hf import HFModel
from rpo_bench.models.protocol import Generation
from rpo_bench.spec import Decoding
from tasks.civil_qa.reward import gold_reward

MAX_NEW_TOKENS = 64  # as in task.yaml
NOISE = 0.3  # standard deviation of what the training rewards add to the gold ones
_BATCH = 256  # sequences at a time
_SPARE = 4  # samples beyond those wanted, for the few whose text isn't tokenised back to what was sampled


def derived_seed(seed: int, what: str) -> int:
    """A seed of its own for each use, far from the small ones that evaluations use."""
    return int(generator(seed, what).integers(2**20, 2**31))


def generator(seed: int, what: str) -> np.random.Generator:
    """Random numbers of their own for each use."""
    return np.random.default_rng([seed, *what.encode()])


def sampled_rows(
    model: HFModel, prompts: list[Prompt], n: int, seed: int, what: str
) -> list[dict[str, object]]:
    """n scored responses per prompt, as rows, with their log-probability under the model."""
    drawn = model.generate(prompts, n + _SPARE, _decoding(), derived_seed(seed, what), _BATCH)
    chosen = [sample for group in _grouped(drawn, n + _SPARE) for sample in _usable(model, group)[:n]]
    logps = model.token_logps([s.prompt for s in chosen], [s.token_ids for s in chosen], _BATCH)
    by_id = {prompt.prompt_id: prompt for prompt in prompts}
    gold = gold_reward([by_id[s.prompt_id] for s in chosen], [s.text for s in chosen])
    noise = generator(seed, f"noise of {what}").normal(0, NOISE, len(chosen))
    return [
        {
            "prompt": sample.prompt,
            "response": sample.text,
            "reward": round((value or 0.0) + float(extra), 3),
            "prompt_id": sample.prompt_id,
            "behaviour_logp": round(float(logp.astype(np.float64).sum()), 5),
            "metadata": {"gold": value},
        }
        for sample, logp, value, extra in zip(chosen, logps, gold, noise, strict=True)
    ]


def _usable(model: HFModel, samples: list[Generation]) -> list[Generation]:
    """Those that ended by themselves and whose text is tokenised to the very tokens that were sampled."""
    texts = [sample.text for sample in samples]
    ids = model.tokenizer(texts, add_special_tokens=False).input_ids
    eos = model.tokenizer.eos_token_id
    pairs = zip(samples, ids, strict=True)
    return [sample for sample, own in pairs if sample.text and sample.token_ids == (*own, eos)]


def sampled_rewards(model: HFModel, prompts: list[Prompt], n: int, seed: int) -> NDArray[np.float64]:
    """Gold rewards of n samples for each of P prompts; (P, n)."""
    drawn = model.generate(prompts, n, _decoding(), seed, _BATCH)
    asked = [prompt for prompt in prompts for _ in range(n)]
    rewards = np.array(gold_reward(asked, [sample.text for sample in drawn]), dtype=np.float64)
    return rewards.reshape(len(prompts), n)


def with_reference_rewards(
    rows: list[dict[str, object]], rewards: dict[str, NDArray[np.float64]]
) -> list[dict[str, object]]:
    """Puts each prompt's reference rewards on its first row, which stands for all of them."""
    waiting = dict(rewards)
    found = []
    for row in rows:
        mine = waiting.pop(str(row["prompt_id"]), None)
        extra = {} if mine is None else {"reference_rewards": [round(float(r), 3) for r in mine]}
        found.append(row | extra)
    return found


def _grouped(samples: list[Generation], n: int) -> list[list[Generation]]:
    return [samples[start : start + n] for start in range(0, len(samples), n)]


def _decoding() -> Decoding:
    return Decoding(max_new_tokens=MAX_NEW_TOKENS)
