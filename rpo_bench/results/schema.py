"""The result record of one checkpoint, versioned and validated."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from rpo_bench.remote.urls import without_secrets
from rpo_bench.spec.schema import CellSpec
from rpo_bench.spec.settings import Frozen
from rpo_bench.stats.interval import Interval

SCHEMA_VERSION: Literal[1] = 1

Status = Literal["completed", "diverged"]


class MetricValue(Frozen):
    """One metric of one checkpoint."""

    interval: Interval
    unit: str = ""
    higher_is_better: bool | None = None
    backend: str | None = Field(None, description="name and version of the scorer")
    scored: int = Field(ge=0, description="samples (of a judge: questions) that have a score")
    unscored: dict[str, int] = Field(default_factory=dict, description="reason → number of samples")


class Cost(Frozen):
    """The cost of training and measuring the checkpoint."""

    train_seconds: float = 0.0
    train_tokens: int = 0
    rollouts: int = 0
    peak_memory_bytes: int = 0
    generate_seconds: float = 0.0
    score_seconds: float = 0.0


class Seen(Frozen):
    """The data that a training used, in the same terms for every method."""

    rows: int = Field(ge=0, description="responses in the data, or sampled by an online method")
    rows_used: int = Field(ge=0, description="distinct ones used by any step")
    prompts: int = Field(ge=0, description="distinct prompts among those")
    presentations: int = Field(ge=0, description="rows of all steps together, repeats counted")
    tokens: int | None = Field(None, ge=0, description="of the responses of all presentations")
    epochs: float = Field(ge=0, description="presentations divided by the number of available rows")
    pairs: int | None = Field(
        None, ge=0, description="pairs made of the rows, where a method learns from them"
    )
    pairs_used: int | None = Field(None, ge=0, description="distinct ones used by any step")


class Environment(Frozen):
    """The machine and software of a result."""

    git_commit: str | None
    git_dirty: bool | None
    packages: dict[str, str]
    python: str
    platform: str
    processor: str
    gpus: tuple[str, ...] = Field((), exclude_if=lambda gpus: not gpus, description="that the worker saw")
    driver: str | None = Field(None, exclude_if=lambda driver: driver is None, description="of the GPUs")
    device: str
    dtype: str
    threads: int
    processes: int = Field(1, exclude_if=lambda count: count == 1, description="that trained the model")


class Record(Frozen):
    """result.json."""

    schema_version: Literal[1] = SCHEMA_VERSION
    spec: CellSpec
    cell: str = Field(description="the cell's hash")
    architecture: str
    strength_name: str
    status: Status
    reason: str | None = Field(None, description="why it diverged")
    metrics: dict[str, MetricValue]
    stability: dict[str, float | None]
    cost: Cost
    seen: Seen | None = Field(None, description="None: of version 0.1, or not trained here")
    environment: Environment
    hashes: dict[str, str] = Field(description="prompts, samples, scores, training log, checkpoint weights")
    command: Annotated[str, AfterValidator(without_secrets)] = Field(description="reproduces this row")
    extra: dict[str, Any] = Field(default_factory=dict)

    def point(self, metric: str) -> float | None:
        """A metric's estimate; None if it wasn't measured or nothing could be scored."""
        value = self.metrics.get(metric)
        return None if value is None else value.interval.point
