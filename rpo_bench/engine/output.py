"""The output folder of a run: its layout, its identity, and a lock for one run at a time."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from rpo_bench.engine.scoring_advice import only_scoring
from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_file, explained
from rpo_bench.files.hashing import hash_json
from rpo_bench.files.settings_text import read_settings
from rpo_bench.files.validation import first_problem
from rpo_bench.spec.schema import CellSpec, RunSpec, with_first_protocol
from rpo_bench.spec.sections import without_neutral
from rpo_bench.spec.settings import Settings


@dataclass(frozen=True)
class Output:
    """The folders and files of a run.

    Attributes:
        root: ``--output-path``.
        work: ``--work-path`` for checkpoints, samples, shared artefacts and logs; ``<root>/work`` by default.
    """

    root: Path
    work: Path

    @property
    def resolved(self) -> "Output":
        """The same folders with absolute paths, for other processes."""
        return Output(self.root.resolve(), self.work.resolve())

    @property
    def spec(self) -> Path:
        """The spec of the folder's first run; usable as ``--config``."""
        return self.root / "spec.yaml"

    @property
    def identity(self) -> Path:
        """Content hashes of the inputs that the spec names."""
        return self.root / "identity.yaml"

    @property
    def results(self) -> Path:
        """The result records."""
        return self.root / "results"

    @property
    def leaderboard(self) -> Path:
        """The page."""
        return self.root / "leaderboard"

    @property
    def cache(self) -> Path:
        """Shared artefacts, by content hash."""
        return self.work / "cache"

    def log(self, name: str) -> Path:
        """The log file of a cell or a shared artefact."""
        return self.work / "logs" / f"{name}.log"

    def training(self, cell: CellSpec) -> Path:
        """Folder of a cell's checkpoint and training log, shared by all its evaluations."""
        return self.work / "cells" / cell.training_hash[:16] / "train"

    def samples(self, cell: CellSpec) -> Path:
        """File of the cell's samples, shared by all ways of scoring them."""
        settings = cell.evaluation.model_dump(mode="json", exclude={"toxicity", "reward"})
        key = hash_json([cell.training_hash, cell.task_hash, settings])
        return self.work / "cells" / cell.training_hash[:16] / f"samples-{key[:16]}"


class Identity(Settings):
    """Content hashes of a run's task, data and models when its output folder was started."""

    task: str
    task_hash: str
    data: dict[str, str] = Field(description="model → content hash of the rows it is trained on")
    models: dict[str, str] = Field(description="model → content hash of its folder")
    formats: dict[str, str] = Field(default_factory=dict, description="model → hash of its prompt format")


def check_same_run(output: Output, spec: RunSpec, identity: Identity, trains: bool = True) -> None:
    """Checks that the cells of ``spec`` may be added to the folder; writes nothing.

    More methods, strengths, seeds or models may be added. Another task, other data, training or evaluation
    settings may not, as their cells couldn't be compared.

    Args:
        output: the folder.
        spec: the spec of the cells to add.
        identity: content hashes of its inputs.
        trains: False for finished checkpoints, whose training settings may differ.

    Raises:
        UserError: names the first difference.
    """
    if not output.spec.exists():
        return
    earlier = read_run_spec(output.spec)
    there, here = _fixed(earlier, trains), _fixed(spec, trains)
    if output.identity.exists():
        known = read_identity(output)
        there = {"the task": known.task, **there, **_contents(known, identity)}
        here = {"the task": identity.task, **here, **_contents(identity, known)}
    found = difference(there, here)
    if found is not None:
        scoring = only_scoring(earlier, spec, there, here)
        if trains and scoring is not None:
            raise UserError(
                f"{output.root} belongs to another run: {found}. This needs no new training: "
                f"`rpo-bench score {output.root} {scoring}` scores the stored samples, and `rpo-bench "
                f"leaderboard {output.root}` rebuilds the page."
            )
        how = (
            f"or --config {output.spec} to continue that run"
            if trains
            else "or leave out --task and the differing settings to measure checkpoints as that run did"
        )
        raise UserError(f"{output.root} belongs to another run: {found}. Give another --output-path, {how}.")


def read_identity(output: Output) -> Identity:
    """The folder's stored content hashes; raises UserError when they can't be read."""
    return Identity.model_validate(read_yaml(output.identity))


def read_run_spec(file: Path) -> RunSpec:
    """Reads a run's spec from a YAML file; raises UserError that names file and field."""
    try:
        return RunSpec.model_validate(with_first_protocol(read_yaml(file)))
    except ValidationError as error:
        raise UserError(f"{file}: {first_problem(error)}.") from error


def begin(output: Output, spec: RunSpec, identity: Identity) -> None:
    """Writes the spec unless there is one, and adds new models to the identity."""
    write_identity(output, identity)
    if not output.spec.exists():
        with atomic_file(output.spec) as file:
            file.write_text(yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False))


def write_identity(output: Output, identity: Identity) -> None:
    """Adds content hashes to those of earlier runs in the folder."""
    if output.identity.exists():
        known = read_identity(output)
        added = {
            name: {**getattr(known, name), **getattr(identity, name)}
            for name in ("models", "data", "formats")
        }
        identity = identity.model_copy(update=added)
    with atomic_file(output.identity) as file:
        file.write_text(yaml.safe_dump(identity.model_dump(mode="json"), sort_keys=False))


@contextmanager
def only_run(output: Output) -> Iterator[None]:
    """Creates the folder and locks it against other runs.

    A new folder is removed again if no run was started in it.

    Raises:
        UserError: the folder isn't writable, or another run is using it.
    """
    new = [folder for folder in (output.root, output.work) if not folder.exists()]
    for folder in (output.root, output.work):
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
    file = output.work / "lock"
    with explained(file):
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(handle, output)
        yield
    finally:
        if not output.identity.exists():
            for folder in new:
                shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _lock(handle: int, output: Output) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 32).decode(errors="replace").strip()
        raise UserError(
            f"Another run (process {holder}) is using {output.work}: wait for it, or give another "
            "--output-path."
        ) from None
    except OSError:
        return  # the file system has no locks
    with explained(output.work):
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())


def _fixed(spec: RunSpec, trains: bool) -> dict[str, Any]:
    """The settings that all cells of a folder must share, with dotted names."""
    parts = {"data", "training", "evaluation", "loading"} if trains else {"evaluation", "loading"}
    kept = spec.model_dump(mode="json", include=parts)
    kept["generation"] = spec.generation.of_references.backend
    kept.get("data", {}).pop("file", None)  # its content is compared, not its path
    if trains:
        kept["training"] = without_neutral(kept["training"])
    return flat(kept)


def _contents(identity: Identity, other: Identity) -> dict[str, Any]:
    models = sorted(identity.models.keys() & other.models.keys())
    data = sorted(identity.data.keys() & other.data.keys())
    return {
        "the content of the task": identity.task_hash[:12],
        **{f"the content of model {name}": identity.models[name][:12] for name in models},
        **{f"the prompt format of {name}": identity.formats.get(name, "none")[:12] for name in models},
        **{f"the content of the data for {name}": identity.data[name][:12] for name in data},
    }


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted names."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= flat(item, f"{prefix}{key}.") if isinstance(item, dict) else {f"{prefix}{key}": item}
    return found


def difference(there: dict[str, Any], here: dict[str, Any]) -> str | None:
    """The first difference in words; None without any."""
    for name in {**there, **here}:
        if there.get(name) != here.get(name):
            return f"{name} is {there.get(name)} there and {here.get(name)} here"
    return None


def read_yaml(file: Path) -> Any:
    """The content of a YAML file; raises UserError when it can't be read."""
    return read_settings(file, str(file))
