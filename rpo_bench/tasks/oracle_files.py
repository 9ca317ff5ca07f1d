"""Where a task's oracle comes from: reference samples that ship with it, or are stored beside results."""

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

#: Folder of results in which stored reference samples lie: <results>/<task>/<model>/oracle/<name>.npz.
ORACLE_FOLDER = "oracle"


def find_oracle(spec: CellSpec, roots: Sequence[Path] = (), include_path: Path | None = None) -> Oracle | str:
    """The oracle of what a cell was measured on, or why there is none.

    Args:
        spec: Any cell of the panel.
        roots: Folders of results, in which stored reference samples are looked for.
        include_path: A folder of further tasks.
    """
    if not spec.evaluation.decoding.ancestral:
        return "the decoding is not the policy's own distribution, of which the oracle is a statement"
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
        return "the task isn't at hand, or has no reference samples"
    task = known_task(spec.task, include_path)
    if spec.model not in task.spec.reference_samples:
        return "the task has no reference samples for this model"
    if task.hash != spec.task_hash:
        return "the task has changed since the results were made"
    return read_oracle(task, spec.model)


def read_oracle(task: Task, model: str) -> Oracle:
    """The oracle from a task's file of reference samples; raises UserError when it doesn't fit the task."""
    return estimate_oracle(*task_rewards(task, model))


def task_rewards(task: Task, model: str) -> tuple[Floats, tuple[str, ...]]:
    """A task's own reference rewards (P, N) and its prompts; raises UserError when they don't fit it."""
    name = task.spec.reference_samples[model]
    rewards, named = read_rewards(task.folder / name, name)
    prompts = tuple(prompt.prompt_id for prompt in task.heldout)
    if len(rewards) != len(prompts) or (named and set(named) != set(prompts)):
        raise UserError(
            f"{name}: wanted finite rewards, {len(prompts)} prompts by samples; found {rewards.shape}."
        )
    return rewards, named or prompts


def read_rewards(file: Path, name: str) -> tuple[Floats, tuple[str, ...]]:
    """Rewards (P, N) and prompt identities (P,), none if the file doesn't tell them.

    Args:
        file: A .npz with ``rewards`` and ``prompt_ids``.
        name: What messages call it: a page needn't say where its maker keeps files.

    Raises:
        UserError: It can't be read, or holds something else.
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
    """Writes reference rewards (P, N) as tasks ship them; atomically."""
    with atomic_file(file) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, rewards=rewards.astype(np.float32), prompt_ids=np.array(list(prompts)))


def oracle_file(results: Path, task: str, model: str, identity: str) -> Path:
    """Where reference rewards are stored beside results.

    Args:
        results: The folder of results.
        task: The task's name.
        model: The base model's name.
        identity: Hash of what they are samples of.
    """
    return results / _last(task) / _last(model) / ORACLE_FOLDER / f"{identity[:16]}.npz"


def _last(name: str) -> str:
    """The last part of a name, which may come from a record, as a folder that stays in its place."""
    return short_name(Path(name.replace("\0", "_")).name.strip(".") or "_")


def stored_rewards(spec: CellSpec, roots: Sequence[Path]) -> Path | None:
    """The stored reference rewards that fit a cell, where there are any."""
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
    """What reference rewards are samples of: the task's prompts and reward, and the reference policy."""
    return hash_json([task_hash, model_hash])
