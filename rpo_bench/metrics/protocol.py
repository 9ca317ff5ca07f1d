"""The protocol of metrics: on single samples, on a prompt's samples, or on all samples."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rpo_bench.data.row import Prompt
from rpo_bench.results.samples import StoredSample
from rpo_bench.spec.sections import Decoding
from rpo_bench.stats.arrays import Floats
from rpo_bench.stats.bootstrap import prompt_means
from rpo_bench.tasks.task import RewardFunction

if TYPE_CHECKING:
    from rpo_bench.metrics.proxy import Proxy

Range = tuple[float, float]

SHARE: Range = (0.0, 1.0)

_LONGEST_REASON = 120  # characters quoted from an error


@dataclass(frozen=True)
class Unscored:
    """A missing score with its reason; never replaced by zero."""

    reason: str


Score = float | Unscored


def failure(what: str, error: Exception) -> Unscored:
    """A missing score because code failed; equal failures have equal words, so that they can be counted.

    Args:
        what: What failed, with a verb: "the classifier failed:".
        error: The exception.
    """
    text = " ".join(str(error).split())[:_LONGEST_REASON]
    kind = type(error).__name__
    return Unscored(f"{what} {kind}: {text}" if text else f"{what} {kind}")


@dataclass(frozen=True)
class Summary:
    """A published number made from sample-level scores.

    Attributes:
        name: Its key in the result record.
        unit: Its unit.
        higher_is_better: None where neither is.
        reduce: Scores (P, n), NaN for unscored → one number per prompt (P,), whose mean is published.
        bounds: The range of those numbers, if bounded.
        names_n: Whether the unit includes the number of samples per prompt.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    reduce: Callable[[Floats], Floats] = prompt_means
    bounds: Range | None = None
    names_n: bool = False


class Metric(ABC):
    """The base of all metrics. Subclasses set these attributes and override one method.

    Attributes:
        name: Its key in the result record.
        unit: Its unit.
        higher_is_better: None where neither is.
        backend: Name and version of the measuring software, where there is a choice.
        bounds: The range of its values, if bounded.
    """

    name: str
    unit: str = ""
    higher_is_better: bool | None = None
    backend: str | None = None
    bounds: Range | None = None


class SampleMetric(Metric):
    """A number per sample, averaged within prompts and then over prompts; bootstrapped over prompts."""

    @abstractmethod
    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """Scores N samples.

        Args:
            prompts: The prompt of each sample, N.
            samples: N samples.

        Returns:
            N numbers, or reasons for missing ones.
        """

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """The published numbers: the mean of the scores, unless overridden."""
        return (Summary(self.name, self.unit, self.higher_is_better, bounds=self.bounds),)


class PromptMetric(Metric):
    """A number per prompt from all its samples, averaged over prompts; bootstrapped over prompts."""

    @abstractmethod
    def compute(self, samples: Sequence[StoredSample]) -> Score:
        """The number for one prompt's n samples, or the reason for a missing one."""


class CorpusMetric(Metric):
    """A number from all samples together, with a jackknife interval over prompts."""

    @abstractmethod
    def compute(self, groups: Sequence[Sequence[StoredSample]]) -> Score:
        """The number for the samples of P prompts, or the reason for a missing one."""

    def left_out(self, groups: Sequence[Sequence[StoredSample]]) -> Floats:
        """The number without each prompt in turn, (P,), NaN if missing.

        This computes it P times; override it if there is a faster way.
        """
        found = [self.compute([*groups[:i], *groups[i + 1 :]]) for i in range(len(groups))]
        return np.array([np.nan if isinstance(score, Unscored) else score for score in found])


@dataclass(frozen=True)
class MetricContext:
    """The context in which a metric family is created.

    Attributes:
        decoding: How the samples were drawn.
        reward: The gold reward, if any.
        reward_name: Its name in results; None: the function's own name.
        samples_per_prompt: Maximum number of samples per prompt.
        toxicity: The classifier, as in ``--toxicity``; None: toxicity isn't measured.
        allow_pickle: Whether a classifier's weights may be pickled.
        proxy: The task's proxy reward, if any.
        references: Whether to measure overlap with reference texts.
    """

    decoding: Decoding = field(default_factory=Decoding)
    reward: RewardFunction | None = None
    reward_name: str | None = None
    samples_per_prompt: int = 1
    toxicity: str | None = None
    allow_pickle: bool = False
    proxy: "Proxy | None" = None
    references: bool = False
