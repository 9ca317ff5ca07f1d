"""What a comparison says, as data: the JSON of ``rpo-bench compare --format json``."""

from typing import Literal

from pydantic import Field

from rpo_bench.spec.settings import Frozen
from rpo_bench.stats.interval import Interval

Matching = Literal["kl", "strength", "given"]
Verdict = Literal["better", "worse", "higher", "lower", "within chance", "identical", "undetermined"]
Badge = Literal["reference", "one seed", "preliminary", "published", "headline"]

FORMAT_VERSION: Literal[1] = 1


class PromptGap(Frozen):
    """A prompt on which two methods differ."""

    prompt_id: str
    prompt: str | None = Field(description="None where no sample of it is stored")
    first: float = Field(description="the first one's score, over its seeds and samples")
    second: float
    difference: float


class Comparison(Frozen):
    """Two methods on one metric, first − second."""

    first: str
    second: str
    metric: str
    unit: str = ""
    higher_is_better: bool | None = None
    matched: Matching
    at: float | None = Field(description="the KL budget in nats, or the strength; None: each as given")
    first_value: Interval
    second_value: Interval
    difference: Interval
    p: float | None = Field(description="two-sided; None where there is none")
    adjusted_p: float | None = Field(description="over the family: Holm's where primary, else a q-value")
    primary: bool = Field(description="of the declared family")
    detectable: float | None = Field(description="the difference found with a power of 80 % (unadjusted)")
    verdict: Verdict
    wins: int = Field(0, description="prompts on which the first is better; higher, where neither is better")
    ties: int = 0
    losses: int = 0
    notes: tuple[str, ...] = ()


class MethodStanding(Frozen):
    """A method at the KL budget."""

    label: str
    seeds: int = Field(description="that have a reward at the budget")
    badge: Badge
    lost: int = Field(description="checkpoints that diverged and have no measurement")
    reward: Interval
    gain: Interval = Field(description="reward less the reference policy's")
    area: Interval = Field(description="mean gain for budgets spread evenly up to this one")
    regret: Interval | None = Field(description="the oracle's reward at this KL less its own")
    ranks: tuple[int, int] | None = Field(
        description="range of ranks that the differences allow; None: not ranked, with a single training seed"
    )
    furthest: float = Field(description="KL of its furthest strength")


class Section(Frozen):
    """Everything that was measured in one and the same way."""

    task: str
    model: str
    prompts: int
    metrics: tuple[str, ...]
    items: tuple[str, ...]
    family: str = Field(description="the declared primary comparisons, in words")
    budgets: tuple[float, ...]
    standings: tuple[MethodStanding, ...] = ()
    comparisons: tuple[Comparison, ...]
    most_different: dict[str, tuple[PromptGap, ...]] = Field(
        default_factory=dict, description="'first vs second' → prompts, largest gap in reward first"
    )
    notes: tuple[str, ...] = ()


class Report(Frozen):
    """A whole comparison."""

    format_version: Literal[1] = FORMAT_VERSION
    level: float
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
