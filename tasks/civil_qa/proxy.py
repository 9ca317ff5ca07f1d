"""The proxy: a small reward model that has seen noisy rewards of a few hundred questions only.

    python -m tasks.civil_qa.proxy [--out DIR] [--seed N]

It learns from the order of the noisy rewards of the decoder's on-policy rows, within each prompt, and never
sees the gold reward. Questions, with all their wordings, are held out to measure it; how its scores compare
with gold rewards is then measured on fresh responses of both reference policies to the held-out prompts.
"""

import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from rpo_bench.data.readers import read_rows
from rpo_bench.data.row import Prompt, Row
from rpo_bench.files.hashing import hash_folder
from rpo_bench.models.hf import HFModel
from rpo_bench.models.reward import RewardModel
from rpo_bench.models.reward_record import PairRecord, Scale, write_reward_record
from rpo_bench.models.reward_training import (
    RewardData,
    measured_pairs,
    ordered_pairs,
    scale_of,
    train_reward_model,
)
from rpo_bench.spec.sections import Decoding
from rpo_bench.tasks.task import read_prompts
from tasks.building import derived_seed, generator
from tasks.civil_qa.questions import asked
from tasks.civil_qa.reward import gold_reward
from tasks.civil_qa.sampling import MAX_NEW_TOKENS
from trainers.reward_model import RewardModelSettings

FOLDER = "models/proxy"
STEPS = 80  # two passes over the training questions
_HELDOUT_SHARE = 0.15  # of the questions of the training rows
SAMPLES = 8  # per held-out prompt and reference policy
_BATCH = 256

log = logging.getLogger(__name__)


def main(
    out: Annotated[Path, typer.Option(help="the world's folder")] = Path(__file__).parent,
    seed: Annotated[int, typer.Option(min=0, help="of everything that is random")] = 0,
) -> None:
    """Trains and measures the proxy of the world in a folder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    build_proxy(out, seed)


def build_proxy(out: Path, seed: int, steps: int = STEPS, samples: int = SAMPLES) -> None:
    """Trains the proxy on the world in ``out`` and writes it there, with what it is worth.

    Args:
        out: The world's folder, with its policies, data and prompts.
        seed: Of everything that is random.
        steps: Of the training; more of them fit the noise.
        samples: Per held-out prompt and reference policy, that its scores are compared with gold rewards on.
    """
    rows = read_rows(out / "data/on_policy-decoder.jsonl.gz")
    train, heldout = split_by_question(rows, seed)
    folder = out / FOLDER
    record = train_reward_model(
        RewardData(train, heldout, "the decoder's on-policy rows"),
        out / "models/decoder",
        RewardModelSettings(steps=steps, batch_size=16, learning_rate=1e-3, seed=seed),
        folder,
        dtype=torch.float16,
    )
    (folder / "train_log.jsonl").unlink()
    model = RewardModel.load(folder)
    prompts = read_prompts(out / "prompts/heldout.jsonl")
    measured = {
        name: measured_on(model, out / "models" / name, prompts, seed, samples)
        for name in ("decoder", "encoder-decoder")
    }
    update = {
        "scale": record.scale | {name: scale for name, (scale, _) in measured.items()},
        "also": {f"gold reward, {name}": pairs for name, (_, pairs) in measured.items()},
    }
    write_reward_record(folder, record.model_copy(update=update))
    log.info(
        "proxy: held-out accuracy %.3f, calibration error %.3f",
        record.heldout.accuracy.point,
        record.heldout.calibration_error,
    )


def split_by_question(rows: list[Row], seed: int) -> tuple[list[Row], list[Row]]:
    """Training rows and held-out rows: no question, in whatever wording, is in both."""
    keys = sorted({asked()[row.prompt] for row in rows})
    order = generator(seed, "questions of the proxy").permutation(len(keys))
    heldout = {keys[i] for i in order[: max(1, round(_HELDOUT_SHARE * len(keys)))]}
    train = [row for row in rows if asked()[row.prompt] not in heldout]
    return train, [row for row in rows if asked()[row.prompt] in heldout]


def measured_on(
    model: RewardModel, policy: Path, prompts: list[Prompt], seed: int, samples: int
) -> tuple[Scale, PairRecord]:
    """The proxy beside the gold reward, on responses of a reference policy to the held-out prompts."""
    loaded = HFModel.load(policy, device="cpu")
    decoding = Decoding(max_new_tokens=MAX_NEW_TOKENS)
    drawn = loaded.generate(prompts, samples, decoding, derived_seed(seed, f"proxy {policy.name}"), _BATCH)
    texts = [sample.text for sample in drawn]
    owners = np.repeat(np.arange(len(prompts)), samples)  # (N,)
    gold = np.array(gold_reward([prompts[i] for i in owners], texts), dtype=np.float64)
    scores: NDArray[np.float64] = model.scores([prompts[i].text for i in owners], texts)
    of = f"responses of {policy.name} to the held-out prompts"
    pairs = measured_pairs(scores, owners, ordered_pairs(gold, owners))
    return scale_of(scores, gold, of, hash_folder(policy)), pairs


if __name__ == "__main__":
    typer.run(main)
