"""The reference's log-probabilities: computed once per (weights, rows, number format), then looked up."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.batches import BatchPlan
from trainers.errors import UserError
from trainers.examples import Examples
from trainers.inputs import TokenLayout, collate
from trainers.logps import sequence_logps
from trainers.memory import RowsAtOnce
from trainers.precision import DType, autocast
from trainers.ranks import ALONE, Ranks
from trainers.trials import evaluating
from trainers.whole_files import whole_file

_TOKENS_PER_BATCH = 8192


@dataclass(frozen=True)
class ReferenceCache:
    """Where reference log-probs are kept between runs.

    Attributes:
        folder: of the ``.npy`` files; None keeps nothing.
        model_hash: identity of the reference's weights and tokenizer.
        ranks: the processes that share the work.
        rows: of a pass at most, where memory that runs out in one process stops all of them.
    """

    folder: Path | None = None
    model_hash: str = ""
    ranks: Ranks = ALONE
    rows: int | None = None

    def logps(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        responses: Sequence[Sequence[int]],
        layout: TokenLayout,
        dtype: DType,
    ) -> NDArray[np.float64]:
        """log π_ref(y|x) summed over tokens, from the cache or computed and kept; (N,).

        Raises:
            UserError: a cached file doesn't hold N finite numbers.
        """
        if self.folder is None:
            return compute_logps(model, prompts, responses, layout, dtype, self.ranks, self.rows)
        file = self.folder / f"{self._key(prompts, responses, layout, dtype)}.npy"
        if not self.ranks.from_first(file.is_file()):
            values = compute_logps(model, prompts, responses, layout, dtype, self.ranks, self.rows)
            if self.ranks.first:
                self.folder.mkdir(parents=True, exist_ok=True)
                with whole_file(file) as temporary, temporary.open("wb") as stream:
                    np.save(stream, values)
            self.ranks.every(None)  # now all can read it
        cached: NDArray[np.float64] = np.load(file, allow_pickle=False)
        if cached.shape != (len(prompts),) or not np.isfinite(cached).all():
            raise UserError(f"The reference cache {file} is damaged or lacks rows: delete it and run again.")
        return cached

    def _key(
        self,
        prompts: Sequence[Sequence[int]],
        responses: Sequence[Sequence[int]],
        layout: TokenLayout,
        dtype: DType,
    ) -> str:
        digest = hashlib.sha256(f"{self.model_hash} {dtype} {len(prompts)}".encode())
        if layout.beginning:
            digest.update(f"behind {layout.beginning}".encode())
        for rows in (prompts, responses):
            flat = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
            digest.update(np.array([len(row) for row in rows], dtype=np.int64).tobytes())
            digest.update(flat.tobytes())
        return digest.hexdigest()[:32]


@torch.no_grad()
def compute_logps(
    model: Any,
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    layout: TokenLayout,
    dtype: DType,
    ranks: Ranks = ALONE,
    rows: int | None = None,
) -> NDArray[np.float64]:
    """log π(y|x) of N rows, in batches of similar length; (N,) float64.

    Args:
        model: a transformers causal or encoder-decoder model.
        prompts: token ids; N of them.
        responses: token ids; N of them.
        layout: the format of the model's inputs.
        dtype: the number format.
        ranks: the processes that share the work.
        rows: of a pass at most, if memory that runs out isn't tried again here.
    """
    device = next(model.parameters()).device
    lengths = np.array([len(p) + len(r) for p, r in zip(prompts, responses, strict=True)])
    order = np.argsort(lengths, kind="stable")
    result = np.zeros(len(lengths))
    at_once = RowsAtOnce(retries=not ranks.sharded)

    def logps_of(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        inputs = collate([prompts[i] for i in rows], [responses[i] for i in rows], layout).to(device)
        with autocast(dtype, device):
            return np.asarray(sequence_logps(model, inputs).double().cpu().numpy())

    def passes_of(rows: NDArray[np.int64], size: int) -> NDArray[np.float64]:
        return np.concatenate([logps_of(rows[i : i + size]) for i in range(0, len(rows), size)])

    start = 0
    with evaluating(model):
        while start < len(order):
            size = max(1, _TOKENS_PER_BATCH // int(lengths[order[min(start + 64, len(order) - 1)]]))
            size = min(size, rows or size) if ranks.sharded else size
            batch = order[start : start + size * ranks.count]
            own = batch[ranks.share(len(batch))]
            part = own if len(own) else batch[:1]  # other ranks wait for a pass of this one
            found = at_once.run(len(part), 1, partial(passes_of, part))
            result[own] = found[: len(own)]
            start += len(batch)
    return np.sum(ranks.every(result), axis=0) if not ranks.alone else result


def reference_logps(
    cache: ReferenceCache, model: Any, examples: Examples, layout: TokenLayout, dtype: DType
) -> NDArray[np.float64]:
    """log π_ref of every row; (N,)."""
    return cache.logps(model, examples.prompts, examples.responses, layout, dtype)


def partner_logps(
    cache: ReferenceCache, model: Any, examples: Examples, plan: BatchPlan, layout: TokenLayout, dtype: DType
) -> NDArray[np.float64]:
    """log π_ref of every mismatched pair of the plan, each distinct pair computed once; (S, B)."""
    pairs = np.stack([plan.batches.ravel(), plan.partners.ravel()], axis=1)
    distinct, where = np.unique(pairs, axis=0, return_inverse=True)
    prompts = [examples.prompts[i] for i in distinct[:, 0]]
    responses = [examples.responses[j] for j in distinct[:, 1]]
    values = cache.logps(model, prompts, responses, layout, dtype)
    return np.asarray(values[where.ravel()].reshape(plan.batches.shape))
