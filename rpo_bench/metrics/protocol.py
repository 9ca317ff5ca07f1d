"""What a metric is: of a sample, of a prompt's samples, or of all of them together."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rpo_bench.data.row import Prompt
from rpo_bench.results.samples import StoredSample
from rpo_bench.spec.schema import Decoding
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.bootstrap import prompt_means
from rpo_bench.tasks.task import RewardFunction

if TYPE_CHECKING:
    from rpo_bench.metrics.proxy import Proxy

Range = tuple[float, float]

SHARE: Range = (0.0, 1.0)

_LONGEST_REASON = 120  # characters of somebody's error


@dataclass(frozen=True)
class Unscored:
    """There is no score, and why; never a zero."""

    reason: str


Score = float | Unscored


def failure(what: str, error: Exception) -> Unscored:
    """No score because somebody's code failed: the same words for the same failure, so that it is counted.

    Args:
        what: What failed, with its verb: "the classifier failed:".
        error: What it raised.
    """
    text = " ".join(str(error).split())[:_LONGEST_REASON]
    kind = type(error).__name__
    return Unscored(f"{what} {kind}: {text}" if text else f"{what} {kind}")


@dataclass(frozen=True)
class Summary:
    """A published number that is made from sample-level scores.

    Attributes:
        name: Its key in the result record.
        unit: What it is measured in.
        higher_is_better: None where neither is.
        reduce: Scores (P, n), NaN for unscored → one number per prompt (P,); published is their mean.
        bounds: The range of those numbers, where they have one.
        names_n: Whether the number of samples per prompt belongs to the unit.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    reduce: Callable[[Floats], Floats] = prompt_means
    bounds: Range | None = None
    names_n: bool = False


class Metric(ABC):
    """What all metrics say of themselves. Subclasses set these and override one method.

    Attributes:
        name: Its key in the result record.
        unit: What it is measured in.
        higher_is_better: None where neither is.
        backend: Name and version of what measures it, where there is a choice.
        bounds: The range of its values, where they have one.
    """

    name: str
    unit: str = ""
    higher_is_better: bool | None = None
    backend: str | None = None
    bounds: Range | None = None


class SampleMetric(Metric):
    """A number for each sample, averaged within prompts and then over prompts; bootstrapped over prompts."""

    @abstractmethod
    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """Scores N samples.

        Args:
            prompts: The prompt of each sample, N.
            samples: N samples.

        Returns:
            N numbers, or the reasons why there is none.
        """

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """What is published of the scores: their mean, unless overridden."""
        return (Summary(self.name, self.unit, self.higher_is_better, bounds=self.bounds),)


class PromptMetric(Metric):
    """A number for the samples of one prompt together, averaged over prompts; bootstrapped over prompts."""

    @abstractmethod
    def compute(self, samples: Sequence[StoredSample]) -> Score:
        """The number of one prompt's n samples, or the reason why there is none."""


class CorpusMetric(Metric):
    """A function of all samples together; its interval is the jackknife's over prompts."""

    @abstractmethod
    def compute(self, groups: Sequence[Sequence[StoredSample]]) -> Score:
        """The number of P prompts' samples together, or the reason why there is none."""

    def left_out(self, groups: Sequence[Sequence[StoredSample]]) -> Floats:
        """The number without each prompt in turn, (P,), NaN where there is none.

        This computes it P times over; override it where there is a faster way.
        """
        found = [self.compute([*groups[:i], *groups[i + 1 :]]) for i in range(len(groups))]
        return np.array([np.nan if isinstance(score, Unscored) else score for score in found])


@dataclass(frozen=True)
class MetricContext:
    """What a metric family may want to know when it is made.

    Attributes:
        decoding: How the samples were drawn.
        reward: The gold reward, where there is one.
        reward_name: What results call it; None: the function's own name.
        samples_per_prompt: How many there are, at most.
        toxicity: Which classifier, as ``--toxicity`` takes it; None: toxicity isn't measured.
        allow_pickle: Whether a classifier may have weights that can run code.
        proxy: What stands in for it, where the task has such a thing.
        references: Whether prompts have reference texts, or are to be asked for them.
    """

    decoding: Decoding = field(default_factory=Decoding)
    reward: RewardFunction | None = None
    reward_name: str | None = None
    samples_per_prompt: int = 1
    toxicity: str | None = None
    allow_pickle: bool = False
    proxy: "Proxy | None" = None
    references: bool = False
