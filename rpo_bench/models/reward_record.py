"""The record in a reward model's folder: its accuracy and the scale of its scores."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.validation import read_model
from rpo_bench.spec.settings import Frozen
from rpo_bench.stats.interval import Interval

RECORD_FILE = "reward_model.json"

#: The key of the scale for responses of any model.
ANY_MODEL = "*"


class Scale(Frozen):
    """Means and deviations of scores and rewards on the same responses, for converting between them."""

    score_mean: float
    score_sd: float = Field(gt=0)
    reward_mean: float
    reward_sd: float = Field(gt=0)
    responses: int = Field(ge=2, description="how many they were measured on")
    of: str = Field(description="which responses")
    model_hash: str | None = Field(None, description="of the base model that wrote them; None: any")

    def standardised(self, score: float) -> float:
        """The score in units of the reward: same mean and deviation on the measured responses."""
        return self.reward_mean + self.reward_sd * (score - self.score_mean) / self.score_sd


class ReliabilityBin(Frozen):
    """Pairs of similar confidence and the model's accuracy on them."""

    low: float
    high: float
    pairs: int
    weight: float
    confidence: float
    accuracy: float


class PairRecord(Frozen):
    """Quality on pairs of responses to one prompt; all prompts have equal weight."""

    prompts: int = Field(ge=1)
    pairs: int = Field(ge=1)
    accuracy: Interval
    log_loss: float = Field(description="nats per pair; 0.693 for a model that knows nothing")
    calibration_error: float = Field(description="mean |accuracy − confidence| over the bins")
    bins: tuple[ReliabilityBin, ...]


class RewardRecord(Frozen):
    """reward_model.json."""

    schema_version: Literal[1] = 1
    base: str = Field(description="name of the base model's folder")
    base_hash: str
    data: str
    data_hash: str
    settings: dict[str, Any]
    train_prompts: int
    train_pairs: int
    heldout: PairRecord
    #: Further measurements by name, such as against noise-free rewards.
    also: dict[str, PairRecord] = Field(default_factory=dict)
    scale: dict[str, Scale] = Field(default_factory=dict, description="base model's name, or '*' → scale")

    def scale_for(self, model: str, model_hash: str) -> Scale | None:
        """The scale for a base model's responses, or for any model's; None without either."""
        own = self.scale.get(model)
        if own is not None and own.model_hash in (None, model_hash):
            return own
        return self.scale.get(ANY_MODEL)


def write_reward_record(folder: Path, record: RewardRecord) -> None:
    """Writes the record into a reward model's folder."""
    with atomic_file(folder / RECORD_FILE) as file:
        file.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_reward_record(folder: Path) -> RewardRecord | None:
    """Reads the record; None if there is none. Raises UserError when it is damaged."""
    return read_model(folder / RECORD_FILE, RewardRecord, "record of a reward model")
