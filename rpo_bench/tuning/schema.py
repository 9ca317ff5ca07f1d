"""The file written by tuning: all tried configurations, their results, and the choice."""

from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.hashing import hash_file
from rpo_bench.files.reading import read_text
from rpo_bench.files.validation import first_problem
from rpo_bench.spec.schema import TunedRates, tuned_key
from rpo_bench.spec.settings import Frozen


class _Part(Frozen):
    """A part of the file, with finite numbers only and strict types."""

    model_config = ConfigDict(allow_inf_nan=False, strict=True)


class Configuration(_Part):
    """One cell: a method with its options, a learning rate, a strength and a seed, on the tuning prompts."""

    method: str
    learning_rate: float
    strength: float
    seed: int
    kl: float | None = Field(description="nats per sequence; None: it diverged")
    reward: float | None
    cell: str = Field(description="hash of the cell that has the record")


class Arm(_Part):
    """One learning rate of a method with its options, over all strengths and seeds."""

    method: str
    learning_rate: float
    area: float = Field(description="mean gain over the reference for budgets up to the cap")


class Choice(_Part):
    """The tuned choice for a method on a base model."""

    model: str
    method: str = Field(description="with the options that were chosen, where several were tried")
    strength_name: str
    learning_rate: float = Field(gt=0)
    area: float = Field(description="mean gain over the reference for budgets up to the cap")
    arms: tuple[Arm, ...] = Field(description="all that were tried")
    best_of: tuple[float, ...] = Field(description="expected best area of k of them, k = 1 …")
    on_edge: bool = Field(description="whether the best learning rate is the smallest or largest tried")
    not_bracketed: tuple[float, ...] = Field(description="budgets without close strengths on both sides")
    configurations: tuple[Configuration, ...]


class Tuned(_Part):
    """tuned.json."""

    schema_version: Literal[1] = 1
    task: str
    task_hash: str = Field(description="content hash of the tuning prompts and the reward")
    steps: int
    budgets: tuple[float, ...] = Field(description="KL in nats; the largest is the cap of the area")
    rates: int = Field(description="learning rates of each method, before its grid grew")
    strengths: int = Field(description="strengths of each learning rate, at most")
    choices: tuple[Choice, ...]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        keys = [tuned_key(one.method, one.model) for one in self.choices]
        if len(set(keys)) < len(keys):
            raise ValueError("a method and base model occurs twice")
        for one in self.choices:
            tried = {(part.method, part.learning_rate) for part in one.configurations}
            if (one.method, one.learning_rate) not in tried:
                raise ValueError("a learning rate was chosen that wasn't tried")
        return self

    def rates_by_key(self, digest: str) -> TunedRates:
        """The learning rates for a run; ``digest`` is the file's content hash."""
        by_key = {tuned_key(one.method, one.model): one for one in self.choices}
        return TunedRates(
            file=digest,
            task=self.task,
            steps=self.steps,
            rates={key: one.learning_rate for key, one in by_key.items()},
            configurations={key: len(one.configurations) for key, one in by_key.items()},
            best_of={key: one.best_of for key, one in by_key.items()},
            cap=max(self.budgets, default=None),
        )


def write_tuned(file: Path, tuned: Tuned) -> None:
    """Writes the file atomically; the same tuning gives the same bytes."""
    with atomic_file(file) as temporary:
        temporary.write_text(tuned.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_tuned(file: Path) -> tuple[Tuned, str]:
    """Reads a file written by ``rpo-bench tune``, and its content hash.

    Raises:
        UserError: it can't be read or isn't such a file.
    """
    try:
        return Tuned.model_validate_json(read_text(file)), hash_file(file)
    except ValidationError as error:
        raise UserError(f"--tuned {file} isn't a file of rpo-bench tune: {first_problem(error)}.") from error


def tuned_field(file: Path) -> TunedRates:
    """The field ``tuned`` of a run's spec from a file of ``rpo-bench tune``.

    Raises:
        UserError: it can't be read or isn't such a file.
    """
    tuned, digest = read_tuned(file)
    return tuned.rates_by_key(digest)
