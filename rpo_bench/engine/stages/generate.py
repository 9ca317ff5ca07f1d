"""The generate stage: samples a policy on the held-out prompts."""

import json
import time
from collections.abc import Callable, Sequence
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpo_bench.engine.pool.worker import Progress
from rpo_bench.engine.stages.parts import base_of, decoding_of, diverged, load_model, release_models, task_of
from rpo_bench.engine.stages.probe import LOGPS_BATCH
from rpo_bench.engine.stages.sampling import PolicySamples, other_backend, sample_by
from rpo_bench.engine.work import CellWork
from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_folder
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.models.hf import HFModel
from rpo_bench.models.protocol import Generation
from rpo_bench.results.samples import StoredSample
from trainers.memory import telling_of_memory

#: Decimals of a stored log-probability. The rounding of at most 5e-7 nats is below float32 accuracy.
LOGP_DECIMALS = 6


def stored_sample(
    generation: Generation,
    policy_logps: NDArray[np.float32] | None = None,
    reference_logps: NDArray[np.float32] | None = None,
) -> StoredSample:
    """A generation in stored form.

    Args:
        generation: The sample.
        policy_logps: Log-probabilities of its tokens under the policy, (T,).
        reference_logps: Log-probabilities under the reference, (T,).

    Raises:
        UserError: a log-probability isn't finite; the model has diverged.
    """
    for name, logps in (("policy", policy_logps), ("reference", reference_logps)):
        if logps is not None and not np.isfinite(logps).all():
            raise UserError(
                f"The {name} gives non-finite log-probabilities on prompt '{generation.prompt_id}': "
                "it has diverged or is damaged."
            )
    return StoredSample(
        prompt_id=generation.prompt_id,
        prompt=generation.prompt,
        sample=generation.sample,
        text=generation.text,
        finished=generation.finished,
        token_ids=generation.token_ids,
        policy_logps=_rounded(policy_logps),
        reference_logps=_rounded(reference_logps),
    )


def _rounded(logps: NDArray[np.float32] | None) -> tuple[float, ...] | None:
    if logps is None:
        return None
    values = np.round(np.asarray(logps, dtype=np.float64), LOGP_DECIMALS) + 0.0  # + 0.0: no minus zero
    return tuple(values.tolist())


def generate(work: CellWork, report: Callable[[Progress], None]) -> float:
    """Samples the policy on the held-out prompts, with log-probs under it and the reference."""
    folder = work.output.samples(work.spec)
    if (folder / "samples.jsonl.gz").is_file() or diverged(work):
        return 0.0
    evaluation = work.spec.evaluation
    prompts, decoding = task_of(work).heldout[: evaluation.limit], decoding_of(work)
    backend = other_backend(work)
    started_at = time.monotonic()
    if backend is not None:  # before the policy is loaded, as it needs the GPU's memory
        report(Progress("generate"))
        release_models()
        sampled = sample_by(backend, work, prompts, decoding)
    report(Progress("load"))
    policy = load_model(work, work.policy)
    if backend is None:
        started_at = time.monotonic()
        report(Progress("generate"))
        size = evaluation.batch_size
        with telling_of_memory(f"lower --eval-batch-size, which is {size}."):
            sampled = PolicySamples(
                policy.generate(prompts, evaluation.n_samples, decoding, evaluation.seed, size)
            )
    texts = [generation.prompt for generation in sampled.generations]
    tokens = [generation.token_ids for generation in sampled.generations]
    report(Progress("log-probs"))
    policy_logps = policy.token_logps(texts, tokens, LOGPS_BATCH)
    about = sampled.described(policy_logps, work)
    reference = _reference_logps(work, policy, policy_logps, texts, tokens) if sampled.exact else policy_logps
    seconds = time.monotonic() - started_at
    with atomic_folder(folder) as temporary:
        logps = zip(policy_logps, reference, strict=True) if sampled.exact else repeat((None, None))
        lines = (stored_sample(one, *both) for one, both in zip(sampled.generations, logps, strict=False))
        write_json_lines(temporary / "samples.jsonl.gz", lines)
        written = {"seconds": seconds} | ({} if about is None else {"generation": about})
        (temporary / "generate.json").write_text(json.dumps(written))
    return seconds


def _reference_logps(
    work: CellWork,
    policy: HFModel,
    policy_logps: list[NDArray[np.float32]],
    texts: Sequence[str],
    tokens: Sequence[Sequence[int]],
) -> list[NDArray[np.float32]]:
    if work.policy == Path(work.spec.model_path):
        return policy_logps
    if policy.adapter_of is not None and Path(policy.adapter_of) == Path(work.spec.model_path):
        return policy.without_adapter().token_logps(texts, tokens, LOGPS_BATCH)
    return base_of(work).token_logps(texts, tokens, LOGPS_BATCH)
