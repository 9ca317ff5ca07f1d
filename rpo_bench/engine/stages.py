"""The stages of a cell: train, generate, score. Each leaves its artefact whole or not at all."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from rpo_bench.atomic import atomic_folder, explained
from rpo_bench.data.row import Prompt
from rpo_bench.engine.base_models import Trust
from rpo_bench.engine.dataset import task_identity
from rpo_bench.engine.online import load_prompts, make_world
from rpo_bench.engine.rewards import evaluation_reward, training_reward
from rpo_bench.engine.sampling import PolicySamples, other_backend, sample_by
from rpo_bench.engine.tokens import examples_file, labelled, load_examples
from rpo_bench.engine.work import CellWork
from rpo_bench.engine.worker import Progress
from rpo_bench.errors import UserError
from rpo_bench.hashing import hash_json
from rpo_bench.methods import resolve_method
from rpo_bench.models.hf import HFModel
from rpo_bench.models.protocol import Generation
from rpo_bench.models.quiet import quiet
from rpo_bench.results.card import CARD, write_card
from rpo_bench.results.json_lines import write_json_lines
from rpo_bench.results.samples import stored_sample
from rpo_bench.spec import CellSpec, Decoding, LoadingSpec, PromptFormat, TrainingSpec
from rpo_bench.tasks import RewardFunction, Task, load_task
from trainers.examples import Examples
from trainers.fitting import fit
from trainers.fitting_online import fit_online
from trainers.logps import TokenLayout
from trainers.objective import Method, OfflineMethod
from trainers.online import OnlineMethod
from trainers.precision import resolve_dtype
from trainers.prepare import prepare
from trainers.reference import ReferenceCache, reference_logps
from trainers.settings import FitResult, Lora, TrainingSettings

Report = Callable[[Progress], None]

PROBE_REWARD = "probe_reward.txt"  # which reward the training log's probes speak of
_PROBE_SEED = 0
_PROBE_BATCH = 256
_LOGPS_BATCH = 128  # sequences per forward pass; a fixed one, so that rounding is the same everywhere
_KEPT_BYTES = 500_000_000  # base models up to this size stay loaded in a worker


def training_settings(training: TrainingSpec, seed: int, name: str | None = None) -> TrainingSettings:
    """What ``trainers.fit`` is told."""
    values = training.model_dump(exclude={"lora", "reward"})
    lora = None if training.lora is None else Lora(**training.lora.model_dump())
    return TrainingSettings(**values, lora=lora, seed=seed, run_name=name)


def train(work: CellWork, report: Report) -> float:
    """Trains the cell's checkpoint where the output folder keeps it; returns the seconds it took."""
    begun = time.monotonic()
    result = train_into(work.output.training(work.spec), work, report)
    return min(result.seconds, time.monotonic() - begun)


def train_into(folder: Path, work: CellWork, report: Report) -> FitResult:
    """Trains a cell's checkpoint into ``folder``, beside its spec and training log; goes on where it was."""
    result = _fit_into(folder, work, report)
    if not (folder / "checkpoint" / CARD).is_file():
        write_card(folder / "checkpoint", work.spec, work.command, dataset=dataset_of(work))
    return result


def run_config(work: CellWork) -> dict[str, Any]:
    """What trackers are told of a cell."""
    spec = work.spec
    training = {k: v for k, v in spec.training.model_dump(mode="json").items() if v is not None}
    names = {"task": spec.task, "model": spec.model, "cell": spec.hash, work.strength_name: spec.strength}
    return {"method": spec.method.label, "strength": spec.strength, "seed": spec.seed, **names, **training}


def dataset_of(work: CellWork) -> str | None:
    """The name on the hub of what the cell is trained on; None for other rows."""
    source = task_of(work.task_folder).spec.source
    return None if source is None or work.spec.data.file is not None else source.dataset


def _fit_into(folder: Path, work: CellWork, report: Report) -> FitResult:
    """The training itself: offline or online, as the method is."""
    method = resolve_method(work.spec.method, work.spec.strength)
    settings = training_settings(work.spec.training, work.spec.seed, work.spec.name)
    settings = replace(settings, run_config=run_config(work))
    report(Progress("train", 0, settings.steps))
    base = _load(work, Path(work.spec.model_path), training=True)
    task = task_of(work.task_folder)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spec.yaml").write_text(yaml.safe_dump(work.spec.model_dump(mode="json"), sort_keys=False))
        (folder / PROBE_REWARD).write_text(str(reward_identity(work, task)))

    def progress(step: int, row: dict[str, Any]) -> None:
        report(Progress("train", step, settings.steps, row.get("loss")))

    probe = make_probe(work, task, base.tokenizer) if settings.probe_every else None
    if isinstance(method, OnlineMethod):
        reward = training_reward(work.spec, task, work.trust)
        if reward is None:
            raise UserError(f"{method.name} needs a reward for its own answers; the task has none.")
        limit = decoding_of(work).max_new_tokens or task.spec.max_new_tokens
        world = make_world(base, load_prompts(_examples_file(work)), reward, limit)
        return fit_online(
            method,
            base.model,
            world,
            settings,
            folder,
            tokenizer=base.tokenizer,
            probe=probe,
            progress=progress,
        )
    return fit(
        offline(method),
        base.model,
        labelled(_examples(work), method),
        settings,
        folder,
        cache=_reference_cache(work),
        tokenizer=base.tokenizer,
        probe=probe,
        progress=progress,
    )


def offline(method: Method) -> OfflineMethod:
    """The method as one that learns from rows; raises UserError when it is of no kind that is known."""
    if not isinstance(method, OfflineMethod):
        raise UserError(f"The method '{method.name}' is neither an OfflineMethod nor an OnlineMethod.")
    return method


def reference_pass(work: CellWork, report: Report) -> float:
    """Computes the reference's log-probs of all rows, which every cell on the same model and rows shares."""
    report(Progress("reference"))
    begun = time.monotonic()
    base = _load(work, Path(work.spec.model_path), training=True)
    layout = TokenLayout.of(base.model, base.tokenizer.pad_token_id)
    dtype = resolve_dtype(work.spec.training.dtype, base.model)
    reference_logps(_reference_cache(work), base.model, _examples(work), layout, dtype)
    return time.monotonic() - begun


def partner_pass(work: CellWork, report: Report) -> float:
    """Computes the reference's log-probs of a seed's mismatched pairs, shared by all strengths."""
    report(Progress("reference"))
    begun = time.monotonic()
    base = _load(work, Path(work.spec.model_path), training=True)
    method = resolve_method(work.spec.method, work.spec.strength)
    layout = TokenLayout.of(base.model, base.tokenizer.pad_token_id)
    settings = training_settings(work.spec.training, work.spec.seed)
    dtype = resolve_dtype(settings.dtype, base.model)
    rows = labelled(_examples(work), method)
    prepare(offline(method), base.model, rows, settings, _reference_cache(work), layout, dtype)
    return time.monotonic() - begun


def generate(work: CellWork, report: Report) -> float:
    """Samples the policy on the held-out prompts, with log-probs under it and the reference."""
    folder = work.output.samples(work.spec)
    if (folder / "samples.jsonl.gz").is_file() or diverged(work):
        return 0.0
    evaluation = work.spec.evaluation
    prompts, decoding = task_of(work.task_folder).heldout[: evaluation.limit], decoding_of(work)
    backend = other_backend(work)
    begun = time.monotonic()
    if backend is not None:  # before the policy is loaded, as it wants the GPU's memory
        report(Progress("generate"))
        sampled = sample_by(backend, work, prompts, decoding)
    report(Progress("load"))
    policy = _load(work, work.policy)
    if backend is None:
        begun = time.monotonic()
        report(Progress("generate"))
        sampled = PolicySamples(
            policy.generate(prompts, evaluation.n_samples, decoding, evaluation.seed, evaluation.batch_size)
        )
    texts = [generation.prompt for generation in sampled.generations]
    tokens = [generation.token_ids for generation in sampled.generations]
    report(Progress("log-probs"))
    policy_logps = policy.token_logps(texts, tokens, _LOGPS_BATCH)
    about = sampled.described(policy_logps, work)
    reference = _reference_logps(work, policy, policy_logps, texts, tokens) if sampled.exact else policy_logps
    seconds = time.monotonic() - begun
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
        return policy.without_adapter().token_logps(texts, tokens, _LOGPS_BATCH)
    return _base(work).token_logps(texts, tokens, _LOGPS_BATCH)


def diverged(work: CellWork) -> bool:
    """Whether training ended without a checkpoint to measure."""
    if not work.trained:
        return False
    return FitResult.load(work.output.training(work.spec) / "fit.json").status == "diverged"


def decoding_of(work: CellWork) -> Decoding:
    """The decoding with its length limit filled in."""
    decoding = work.spec.evaluation.decoding
    limit = decoding.max_new_tokens or task_of(work.task_folder).spec.max_new_tokens
    return decoding.model_copy(update={"max_new_tokens": limit})


def reward_of(work: CellWork, task: Task) -> RewardFunction | None:
    """The reward that checkpoints are measured by."""
    return evaluation_reward(task, work.spec.evaluation, work.trust)


def reward_identity(work: CellWork, task: Task) -> str | None:
    """The content hash of that reward; None when there is none."""
    if work.spec.evaluation.reward is None and task.spec.reward is None:
        return None
    probe = [prompt.model_dump(mode="json") for prompt in task.probe]
    return hash_json([task_identity(task, work.spec.evaluation), probe])


def make_probe(work: CellWork, task: Task, tokenizer: Any) -> Callable[[Any], dict[str, float]] | None:
    """Measures a policy in training by its mean reward and KL on one sample to each probe prompt."""
    reward, prompts = reward_of(work, task), task.probe
    if not prompts:
        return None
    decoding = Decoding(max_new_tokens=decoding_of(work).max_new_tokens)

    def probe(model: Any) -> dict[str, float]:
        policy = HFModel(model, tokenizer, prompt_format=work.spec.prompt_format)
        generations = policy.generate(prompts, 1, decoding, _PROBE_SEED, _PROBE_BATCH)
        measured = {"probe_kl": sampled_kl(policy, _base(work), generations)}
        if reward is not None:
            measured |= probe_reward(reward, prompts, [generation.text for generation in generations])
        return measured

    return probe


def sampled_kl(policy: HFModel, reference: HFModel, generations: Sequence[Generation]) -> float:
    """KL(policy‖reference) in nats per sequence: the mean log-ratio of the policy's own samples."""
    texts = [generation.prompt for generation in generations]
    tokens = [generation.token_ids for generation in generations]
    own, other = (model.token_logps(texts, tokens, _LOGPS_BATCH) for model in (policy, reference))
    return float(np.mean([float(p.sum() - q.sum()) for p, q in zip(own, other, strict=True)]))


def probe_reward(reward: RewardFunction, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict[str, float]:
    """The mean of the scores that there are, as the training log calls it."""
    scores = [score for score in reward(prompts, texts) if score is not None]
    return {"probe_reward": float(np.mean(scores))} if scores else {}


@lru_cache(maxsize=4)
def task_of(folder: Path) -> Task:
    """The task in a folder, kept for the next cell."""
    return load_task(str(folder))


def _examples_file(work: CellWork) -> Path:
    spec = work.spec
    return examples_file(
        work.output.cache, spec.model_hash, spec.data_hash, spec.data.long, spec.prompt_format
    )


def _examples(work: CellWork) -> Examples:
    return _kept_examples(_examples_file(work))


@lru_cache(maxsize=2)
def _kept_examples(file: Path) -> Examples:
    return load_examples(file)


def _reference_cache(work: CellWork) -> ReferenceCache:
    return ReferenceCache(work.output.cache / "reference", work.spec.model_hash)


def _load(work: CellWork, folder: Path, training: bool = False) -> HFModel:
    """A model with weights of its own, free to be changed."""
    spec = work.spec
    loading = _training_loading(spec) if training else spec.loading
    return _loaded(folder, work.trust, loading, spec.prompt_format)


def _training_loading(spec: CellSpec) -> LoadingSpec:
    """Full training keeps float32 weights, and all training is on one device."""
    changes: dict[str, Any] = {"device_map": None}
    if spec.training.lora is None:
        changes["dtype"] = "float32"
    return spec.loading.model_copy(update=changes)


def _base(work: CellWork) -> HFModel:
    folder = Path(work.spec.model_path)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    asked = (folder, work.trust, work.spec.loading, work.spec.prompt_format)
    return _kept_base(*asked) if size <= _KEPT_BYTES else _loaded(*asked)


@lru_cache(maxsize=2)
def _kept_base(folder: Path, trust: Trust, loading: LoadingSpec, form: PromptFormat | None) -> HFModel:
    return _loaded(folder, trust, loading, form)


def _loaded(folder: Path, trust: Trust, loading: LoadingSpec, form: PromptFormat | None) -> HFModel:
    with quiet():
        return HFModel.load(
            folder,
            allow_pickle=trust.allow_pickle,
            trust_remote_code=trust.trust_remote_code,
            loading=loading,
            prompt_format=form,
        )
