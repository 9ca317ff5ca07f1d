"""Loads what the stages of a cell need: task, rows, models, reward and decoding.

Objects that the next cell is likely to need are cached.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from rpo_bench.engine.inputs.dataset import task_identity
from rpo_bench.engine.inputs.examples import examples_file, load_examples
from rpo_bench.engine.inputs.rewards import evaluation_reward
from rpo_bench.engine.work import CellWork
from rpo_bench.files.hashing import hash_json
from rpo_bench.models.hf import HFModel
from rpo_bench.models.quiet import quiet
from rpo_bench.spec.schema import CellSpec
from rpo_bench.spec.sections import Decoding, LoadingSpec, PromptFormat
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.task import RewardFunction, Task, load_folder
from trainers.examples import Examples
from trainers.memory import release
from trainers.reference import ReferenceCache
from trainers.settings import FitResult

_KEPT_BYTES = 500_000_000  # base models up to this size stay loaded in a worker


def task_of(work: CellWork) -> Task:
    """The cell's task, cached for the next cell."""
    return _task(work.task_folder, work.heldout_folder)


@lru_cache(maxsize=4)
def _task(folder: Path, heldout: Path | None) -> Task:
    return replace(load_folder(folder), heldout_folder=heldout)


def dataset_of(work: CellWork) -> str | None:
    """The name of the training data on the hub; None for other rows."""
    source = task_of(work).spec.source
    return None if source is None or work.spec.data.file is not None else source.dataset


def decoding_of(work: CellWork) -> Decoding:
    """The decoding with its length limit filled in."""
    decoding = work.spec.evaluation.decoding
    limit = decoding.max_new_tokens or task_of(work).spec.max_new_tokens
    return decoding.model_copy(update={"max_new_tokens": limit})


def reward_of(work: CellWork, task: Task) -> RewardFunction | None:
    """The reward for measuring checkpoints."""
    return evaluation_reward(task, work.spec.evaluation, work.trust)


def reward_identity(work: CellWork, task: Task) -> str | None:
    """The content hash of that reward; None when there is none."""
    if work.spec.evaluation.reward is None and task.spec.reward is None:
        return None
    probe = [prompt.model_dump(mode="json") for prompt in task.probe]
    return hash_json([task_identity(task, work.spec.evaluation), probe])


def diverged(work: CellWork) -> bool:
    """Whether training ended without a checkpoint to measure."""
    if not work.trained:
        return False
    return FitResult.load(work.output.training(work.spec) / "fit.json").status == "diverged"


def examples_file_of(work: CellWork) -> Path:
    """The file with the tokenised rows of a cell."""
    spec = work.spec
    return examples_file(work.output.cache, spec.model_hash, spec.data_hash, spec.data, spec.prompt_format)


def examples_of(work: CellWork) -> Examples:
    """The tokenised rows of a cell, cached for the next one."""
    return _kept_examples(examples_file_of(work))


@lru_cache(maxsize=2)
def _kept_examples(file: Path) -> Examples:
    return load_examples(file)


def reference_cache_of(work: CellWork) -> ReferenceCache:
    """The reference's log-probs, shared by all cells of the model."""
    return ReferenceCache(work.output.cache / "reference", work.spec.model_hash)


def load_model(work: CellWork, folder: Path, training: bool = False, device: str | None = None) -> HFModel:
    """A fresh copy of the model, which may be modified; None: on this process's device."""
    spec = work.spec
    loading = _training_loading(spec) if training else spec.loading
    return _loaded(folder, work.trust, loading, spec.prompt_format, device)


def _training_loading(spec: CellSpec) -> LoadingSpec:
    """Loading settings for training: float32 weights unless with adapters, on one device."""
    changes: dict[str, Any] = {"device_map": None}
    if spec.training.lora is None:
        changes["dtype"] = "float32"
    return spec.loading.model_copy(update=changes)


def base_of(work: CellWork) -> HFModel:
    """The base model, which must not be modified; a small one is cached for the next cell."""
    folder = Path(work.spec.model_path)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    arguments = (folder, work.trust, work.spec.loading, work.spec.prompt_format)
    return _kept_base(*arguments) if size <= _KEPT_BYTES else _loaded(*arguments)


def release_models() -> None:
    """Frees the memory of cached base models, for another engine on the same device."""
    _kept_base.cache_clear()
    release()


@lru_cache(maxsize=2)
def _kept_base(folder: Path, trust: Trust, loading: LoadingSpec, form: PromptFormat | None) -> HFModel:
    return _loaded(folder, trust, loading, form)


def _loaded(
    folder: Path, trust: Trust, loading: LoadingSpec, form: PromptFormat | None, device: str | None = None
) -> HFModel:
    with quiet():
        return HFModel.load(
            folder,
            device=device,
            allow_pickle=trust.allow_pickle,
            trust_remote_code=trust.trust_remote_code,
            loading=loading,
            prompt_format=form,
        )
