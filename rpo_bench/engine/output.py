"""The output folder of a run: its layout, whose it is, and that one run at a time writes to it."""

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
from rpo_bench.spec.schema import CellSpec, RunSpec, Settings, with_first_protocol


@dataclass(frozen=True)
class Output:
    """Where everything of a run lies.

    Attributes:
        root: ``--output-path``.
        work: ``--work-path``: checkpoints, samples, shared artefacts, logs; ``<root>/work`` by default.
    """

    root: Path
    work: Path

    @property
    def resolved(self) -> "Output":
        """The same with absolute paths, for other processes."""
        return Output(self.root.resolve(), self.work.resolve())

    @property
    def spec(self) -> Path:
        """The spec that the folder was started with; ``--config`` takes it."""
        return self.root / "spec.yaml"

    @property
    def identity(self) -> Path:
        """Content hashes of what the spec names."""
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
        """Everything that a cell, or a shared artefact, printed."""
        return self.work / "logs" / f"{name}.log"

    def training(self, cell: CellSpec) -> Path:
        """Checkpoint and training log of a cell; the same for all evaluations of it."""
        return self.work / "cells" / cell.training_hash[:16] / "train"

    def samples(self, cell: CellSpec) -> Path:
        """What the cell's policy answered; the same for all ways of scoring it."""
        asked = cell.evaluation.model_dump(mode="json", exclude={"toxicity", "reward"})
        key = hash_json([cell.training_hash, cell.task_hash, asked])
        return self.work / "cells" / cell.training_hash[:16] / f"samples-{key[:16]}"


class Identity(Settings):
    """What a run's names stood for when its output folder was started."""

    task: str
    task_hash: str
    data: dict[str, str] = Field(description="model → content hash of the rows it is trained on")
    models: dict[str, str] = Field(description="model → content hash of its folder")
    formats: dict[str, str] = Field(default_factory=dict, description="model → hash of its prompt format")


def check_same_run(output: Output, spec: RunSpec, identity: Identity, trains: bool = True) -> None:
    """Checks that the cells of ``spec`` may be added to what the folder holds; reads only.

    More methods, strengths, seeds or models are welcome. Another task, other data, training or evaluation
    would put cells side by side that can't be compared.

    Args:
        output: the folder.
        spec: what is to be added.
        identity: what its names stand for.
        trains: False for finished checkpoints, which may have been trained in any way.

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
                f"{output.root} belongs to another run: {found}. Nothing need be trained again for that: "
                f"`rpo-bench score {output.root} {scoring}` measures what is there, and `rpo-bench "
                f"leaderboard {output.root}` makes its page anew."
            )
        how = (
            f"or --config {output.spec} to go on with that one"
            if trains
            else "or leave out --task and what differs: checkpoints are then measured as that run was"
        )
        raise UserError(f"{output.root} belongs to another run: {found}. Give another --output-path, {how}.")


def read_identity(output: Output) -> Identity:
    """What names stood for when the folder was started; raises UserError when it can't be read."""
    return Identity.model_validate(read_yaml(output.identity))


def read_run_spec(file: Path) -> RunSpec:
    """A run's spec out of a YAML file; raises UserError naming file and field."""
    try:
        return RunSpec.model_validate(with_first_protocol(read_yaml(file)))
    except ValidationError as error:
        raise UserError(f"{file}: {first_problem(error)}.") from error


def begin(output: Output, spec: RunSpec, identity: Identity) -> None:
    """Writes down whose folder it is, unless it says so already; adds new models to its identity."""
    write_identity(output, identity)
    if not output.spec.exists():
        with atomic_file(output.spec) as file:
            file.write_text(yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False))


def write_identity(output: Output, identity: Identity) -> None:
    """Writes what names stand for, beside what earlier runs in the folder wrote."""
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
    """Makes the folder and keeps other runs out of it meanwhile.

    A folder that is new, and in which no run was started in the end, is taken away again.

    Raises:
        UserError: it can't be written to, or another process is at work in it.
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
            f"Another run (process {holder}) is at work in {output.work}: wait for it, or give another "
            "--output-path."
        ) from None
    except OSError:
        return  # a file system without locks: then nobody can be kept out
    with explained(output.work):
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())


def _fixed(spec: RunSpec, trains: bool) -> dict[str, Any]:
    """The part of a spec that all cells of a folder share, flattened to dotted names."""
    parts = {"data", "training", "evaluation", "loading"} if trains else {"evaluation", "loading"}
    kept = spec.model_dump(mode="json", include=parts)
    kept["generation"] = spec.generation.of_references.backend
    kept.get("data", {}).pop("file", None)  # wherever it lies: its content is compared
    kept.get("training", {}).pop("report_to", None)  # changes no result
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
    """Nested settings under dotted names."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= flat(item, f"{prefix}{key}.") if isinstance(item, dict) else {f"{prefix}{key}": item}
    return found


def difference(there: dict[str, Any], here: dict[str, Any]) -> str | None:
    """Says what differs first."""
    for name in {**there, **here}:
        if there.get(name) != here.get(name):
            return f"{name} is {there.get(name)} there and {here.get(name)} here"
    return None


def read_yaml(file: Path) -> Any:
    """What a YAML file holds; raises UserError when it can't be read."""
    return read_settings(file, str(file))
