"""Finds a task's oracle: reference samples bundled with the task, or stored next to results."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.hashing import hash_json, short_name
from rpo_bench.files.reading import read_archive
from rpo_bench.spec.schema import CellSpec
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.oracle import Oracle, estimate_oracle
from rpo_bench.tasks.task import Task, known_task, task_folders

#: Subfolder for stored reference samples: <results>/<task>/<model>/oracle/<name>.npz.
ORACLE_FOLDER = "oracle"


def find_oracle(spec: CellSpec, roots: Sequence[Path] = (), include_path: Path | None = None) -> Oracle | str:
    """The oracle for a cell's prompts and reward, or why there is none.

    Args:
        spec: Any cell of the panel.
        roots: Folders of results to search for stored reference samples.
        include_path: A folder of further tasks.
    """
    if not spec.evaluation.decoding.ancestral:
        return "the oracle holds only for ancestral sampling, and this decoding changes the distribution"
    try:
        stored = stored_rewards(spec, roots)
        if stored is not None:
            return estimate_oracle(*read_rewards(stored, stored.name))
        return _of_task(spec, include_path)
    except UserError as error:
        return str(error).rstrip(".")


def _of_task(spec: CellSpec, include_path: Path | None) -> Oracle | str:
    if spec.evaluation.reward is not None:
        return "the reward is not the task's own"
    if spec.task not in task_folders(include_path):
        return "the task isn't available here, or has no reference samples"
    task = known_task(spec.task, include_path)
    if spec.model not in task.spec.reference_samples:
        return "the task has no reference samples for this model"
    if task.hash != spec.task_hash:
        return "the task has changed since the results were made"
    return read_oracle(task, spec.model)


def read_oracle(task: Task, model: str) -> Oracle:
    """Reads the oracle from a task's reference samples; raises UserError when they don't fit the task."""
    return estimate_oracle(*task_rewards(task, model))


def task_rewards(task: Task, model: str) -> tuple[Floats, tuple[str, ...]]:
    """A task's reference rewards (P, N) and prompts; raises UserError when they don't fit the task."""
    name = task.spec.reference_samples[model]
    rewards, named = read_rewards(task.folder / name, name)
    prompts = tuple(prompt.prompt_id for prompt in task.heldout)
    if len(rewards) != len(prompts) or (named and set(named) != set(prompts)):
        raise UserError(
            f"{name}: wanted finite rewards, {len(prompts)} prompts by samples; found {rewards.shape}."
        )
    return rewards, named or prompts


def read_rewards(file: Path, name: str) -> tuple[Floats, tuple[str, ...]]:
    """Rewards (P, N) and prompt ids (P,), which are empty if the file has none.

    Args:
        file: A .npz with ``rewards`` and ``prompt_ids``.
        name: Its name in messages, without private paths.

    Raises:
        UserError: It can't be read, or has another content.
    """
    try:
        data = read_archive(file)
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            rewards = np.asarray(arrays["rewards"], dtype=np.float64)
            prompts = tuple(map(str, arrays["prompt_ids"])) if "prompt_ids" in arrays else ()
    except UserError as error:
        raise UserError(str(error).replace(str(file), name)) from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise UserError(f"{name} can't be read: it doesn't hold an array 'rewards' of numbers.") from error
    if rewards.ndim != 2 or rewards.size == 0 or not np.isfinite(rewards).all():
        raise UserError(f"{name}: wanted finite rewards, prompts by samples; found {rewards.shape}.")
    if prompts and len(prompts) != len(rewards):
        raise UserError(f"{name}: {len(prompts)} prompt_ids for rewards of {len(rewards)} prompts.")
    return rewards, prompts


def write_rewards(file: Path, rewards: Floats, prompts: Sequence[str]) -> None:
    """Writes reference rewards (P, N) atomically, in the format of tasks."""
    with atomic_file(file) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, rewards=rewards.astype(np.float32), prompt_ids=np.array(list(prompts)))


def oracle_file(results: Path, task: str, model: str, identity: str) -> Path:
    """The file for reference rewards next to results.

    Args:
        results: The folder of results.
        task: The task's name.
        model: The base model's name.
        identity: Hash of the task and the model.
    """
    return results / _last(task) / _last(model) / ORACLE_FOLDER / f"{identity[:16]}.npz"


def _last(name: str) -> str:
    """The last part of a name from a record, as a safe folder name."""
    return short_name(Path(name.replace("\0", "_")).name.strip(".") or "_")


def stored_rewards(spec: CellSpec, roots: Sequence[Path]) -> Path | None:
    """The stored reference rewards that fit a cell, if any."""
    for root in roots:
        results = results_folder(root)
        file = oracle_file(results, spec.task, spec.model, oracle_identity(spec.task_hash, spec.model_hash))
        if file.is_file():
            return file
    return None


def results_folder(root: Path) -> Path:
    """The results of a run's output; a folder of results itself."""
    return root / "results" if (root / "results").is_dir() else root


def oracle_identity(task_hash: str, model_hash: str) -> str:
    """The identity of reference rewards: the task's prompts and reward, and the reference policy."""
    return hash_json([task_hash, model_hash])
