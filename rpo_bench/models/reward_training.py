"""Trains reward models from rows and a base model."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rpo_bench.data.convert import group_ids, pairs_in, rewards_of
from rpo_bench.data.row import Row
from rpo_bench.errors import UserError, first_line
from rpo_bench.files.atomic import atomic_folder
from rpo_bench.files.hashing import hash_folder, hash_json
from rpo_bench.models.loading import load_tokenizer
from rpo_bench.models.quiet import quiet
from rpo_bench.models.reward import CENTRE_KEY, LAYOUT_KEY, RewardModel
from rpo_bench.models.reward_record import (
    ANY_MODEL,
    PairRecord,
    ReliabilityBin,
    RewardRecord,
    Scale,
    write_reward_record,
)
from rpo_bench.stats.bootstrap import mean_over_prompts as mean_interval
from rpo_bench.stats.seeding import generator
from trainers.calibration import pair_accuracy, pair_quality
from trainers.device import process_device
from trainers.pairs import pair_rows
from trainers.resuming import Resume
from trainers.reward_model import (
    Comparisons,
    Progress,
    RewardModelSettings,
    fit_reward_model,
    mean_over_prompts,
    zero_head,
)

_PAD = "<pad>"
_LOG_FILE = "train_log.jsonl"


@dataclass(frozen=True)
class RewardData:
    """Training rows and held-out rows with other prompts.

    Attributes:
        train: training rows.
        heldout: rows for measuring the model.
        where: name of the data in messages and the record.
    """

    train: Sequence[Row]
    heldout: Sequence[Row]
    where: str


def train_reward_model(
    data: RewardData,
    base: Path,
    settings: RewardModelSettings,
    out: Path,
    *,
    dtype: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> RewardRecord:
    """Trains a reward model from a base model, measures it, and saves it atomically.

    It learns the order of rewards within each prompt; each preference pair is one comparison. Scores are then
    shifted to mean 0 over the training prompts.

    Args:
        data: scored rows.
        base: folder of a language model, or of a classifier with one label.
        settings: training settings.
        out: the output folder.
        dtype: number format of the saved weights; the model is measured after rounding.
        progress: called after every step.

    Raises:
        UserError: the base model can't be made a classifier, or the data have too few comparisons.
    """
    model, tokenizer = load_base(base, settings.seed)
    unshifted = RewardModel(model, tokenizer, base.name, "appended")
    train = comparisons(data.train, unshifted, data.where)
    heldout = comparisons(data.heldout, unshifted, f"the held-out part of {data.where}")
    rows = [row.model_dump(mode="json") for row in (*data.train, *data.heldout)]
    fixed = [hash_folder(base), dataclasses.asdict(settings), torch.get_num_threads(), str(torch.__version__)]
    resume = Resume.beside(out, hash_json([*fixed, str(model.device), rows]))
    log = fit_reward_model(model, train, settings, progress, resume)
    model.to(dtype).float()
    scores = _scores(unshifted, data.train)
    centre = mean_over_prompts(scores, train.prompts)
    model.config.update({LAYOUT_KEY: "appended", CENTRE_KEY: centre})
    record = RewardRecord(
        base=base.resolve().name,
        base_hash=hash_folder(base),
        data=data.where,
        data_hash=hash_json(rows),
        settings=dataclasses.asdict(settings) | {"dtype_saved": str(dtype).removeprefix("torch.")},
        train_prompts=len(np.unique(train.prompts[train.pairs[:, 0]])),
        train_pairs=len(train.pairs),
        heldout=measured_pairs(_scores(unshifted, data.heldout), heldout.prompts, heldout.pairs),
        scale={ANY_MODEL: scale_of(scores - centre, rewards_of(data.train), "its training rows")},
    )
    with atomic_folder(out) as folder, quiet():
        model.to("cpu", dtype).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / _LOG_FILE).write_text("".join(json.dumps(line) + "\n" for line in log))
        write_reward_record(folder, record)
    resume.done()
    return record


def load_base(folder: Path, seed: int) -> tuple[Any, Any]:
    """A classifier with one label on a base model, with a zero head, and the tokenizer.

    The score is read at the last token that isn't padding, which should be end-of-sequence. A base model
    whose padding token is missing or equals end-of-sequence therefore gets a new one.

    Raises:
        UserError: transformers has no sequence classifier of this architecture, or the folder can't be used.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from rpo_bench.models.folder import check_model_folder

    check_model_folder(folder, allow_pickle=False)
    tokenizer = load_tokenizer(str(folder))
    if tokenizer.eos_token_id is None:
        raise UserError(f"The tokenizer in {folder} has no end-of-sequence token, which responses need.")
    try:
        with quiet(), torch.random.fork_rng():
            torch.manual_seed(seed)
            config = AutoConfig.from_pretrained(folder, num_labels=1)
            model, info = AutoModelForSequenceClassification.from_pretrained(
                folder, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
    except Exception as error:
        first = first_line(error)
        raise UserError(f"{folder} can't be turned into a reward model: {first}.") from error
    absent = [name for name in info["missing_keys"] if "score" not in name and "classif" not in name]
    if absent:
        raise UserError(f"The model in {folder} is incomplete: its weights lack {sorted(absent)[0]}.")
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        tokenizer.add_special_tokens({"pad_token": _PAD})
        with quiet():
            model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().num_embeddings))
    model.config.pad_token_id = tokenizer.pad_token_id
    zero_head(model)
    device = process_device()
    return model.to(device), tokenizer


def comparisons(rows: Sequence[Row], model: RewardModel, where: str) -> Comparisons:
    """All pairs of rows with different rewards within a prompt; for preference data, the given pairs.

    Raises:
        UserError: no prompt has two responses with different rewards.
    """
    prompts = group_ids(rows)
    pairs = ordered_pairs(rewards_of(rows), prompts, pairs_in(rows))
    if not len(pairs):
        raise UserError(
            f"In {where} no prompt has two responses with different rewards: there is nothing to compare."
        )
    encoded = model.encoded([row.prompt for row in rows], [row.response for row in rows])
    return Comparisons(encoded, prompts, pairs)


def ordered_pairs(
    rewards: NDArray[np.float64], groups: NDArray[np.int64], annotated: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """All (better, worse) pairs of rows within a group; ties give none.

    Args:
        rewards: (N,).
        groups: the prompt that each row belongs to; (N,).
        annotated: index of each row's annotated pair, −1 for none; (N,).

    Returns:
        (M, 2), by group, then by the better row.
    """
    pairs = pair_rows(rewards, groups, "all", annotated)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0], groups[pairs[:, 0]]))]


def measured_pairs(
    scores: NDArray[np.float64], prompts: NDArray[np.int64], pairs: NDArray[np.int64]
) -> PairRecord:
    """Measures how well scores order pairs.

    Args:
        scores: (N,).
        prompts: the prompt of each row; (N,).
        pairs: rows (better, worse); (M, 2).
    """
    weights = Comparisons((), prompts, pairs).weights
    differences = scores[pairs[:, 0]] - scores[pairs[:, 1]]  # (M,)
    quality = pair_quality(differences, weights)
    owners, place = np.unique(prompts[pairs[:, 0]], return_inverse=True)
    right = weights * pair_accuracy(differences)  # (M,)
    by_prompt: NDArray[np.float64] = np.bincount(place, weights=right).astype(np.float64)  # (P,)
    interval = mean_interval(by_prompt, generator("reward model", "accuracy"), bounds=(0.0, 1.0))
    return PairRecord(
        prompts=len(owners),
        pairs=len(pairs),
        accuracy=interval,
        log_loss=quality.log_loss,
        calibration_error=quality.calibration_error,
        bins=tuple(ReliabilityBin(**dataclasses.asdict(part)) for part in quality.bins),
    )


def scale_of(
    scores: NDArray[np.float64], rewards: NDArray[np.float64], of: str, model_hash: str | None = None
) -> Scale:
    """The scale that turns scores (N,) into units of rewards (N,).

    Raises:
        UserError: all scores or all rewards are equal.
    """
    if np.ptp(scores) == 0 or np.ptp(rewards) == 0:  # a deviation needn't be 0 to the last digit
        raise UserError(f"All scores or all rewards of {of} are equal: their scale is undefined.")
    return Scale(
        score_mean=float(scores.mean()),
        score_sd=float(scores.std()),
        reward_mean=float(rewards.mean()),
        reward_sd=float(rewards.std()),
        responses=len(scores),
        of=of,
        model_hash=model_hash,
    )


def _scores(model: RewardModel, rows: Sequence[Row]) -> NDArray[np.float64]:
    return model.scores([row.prompt for row in rows], [row.response for row in rows])
