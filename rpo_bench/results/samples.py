"""The stored form of samples: text, tokens, log-probs and scores."""

import math
from typing import Self

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from rpo_bench.data.conversation import PromptText
from rpo_bench.spec.settings import Frozen

#: Significant digits of a stored score.
SCORE_DIGITS = 9


class StoredSample(Frozen):
    """A line of ``samples.jsonl.gz``: one response with its tokens and their log-probs."""

    prompt_id: str
    prompt: PromptText
    sample: int = Field(ge=0, description="its number within the prompt")
    text: str
    finished: bool = Field(description="ended by itself within the length limit")
    token_ids: tuple[int, ...] = Field(description="end-of-sequence included when it was sampled")
    policy_logps: tuple[FiniteFloat, ...] | None = Field(None, description="nats per token, temperature 1")
    reference_logps: tuple[FiniteFloat, ...] | None = Field(None, description="the same under the reference")

    @model_validator(mode="after")
    def _one_logp_per_token(self) -> Self:
        for name in ("policy_logps", "reference_logps"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.token_ids):
                raise ValueError(f"{name} has {len(values)} numbers for {len(self.token_ids)} tokens")
        return self


class ScoreLine(Frozen):
    """A line of ``scores.jsonl.gz``: a number per sample-level metric, or the reason for its absence."""

    prompt_id: str
    sample: int = Field(ge=0)
    scores: dict[str, FiniteFloat | None]
    unscored: dict[str, str] = Field(default_factory=dict, description="metric → reason")


def rounded_score(value: float) -> float:
    """A score in stored precision: nine significant digits."""
    return float(f"{value:.{SCORE_DIGITS}g}")


#: Metric → prompt → mean over its scored samples.
PromptMeans = dict[str, dict[str, float]]


def prompt_means(lines: list[ScoreLine]) -> PromptMeans:
    """Every metric's mean over each prompt's samples; samples without a score don't count."""
    places: dict[str, int] = {}
    at = np.array([places.setdefault(line.prompt_id, len(places)) for line in lines], dtype=np.intp)
    prompts, found = list(places), {}
    for metric in sorted({name for line in lines for name in line.scores}):
        column = [line.scores.get(metric) for line in lines]
        values = np.array([math.nan if value is None else value for value in column])
        scored = np.isfinite(values)
        totals = np.bincount(at[scored], weights=values[scored], minlength=len(prompts))
        counts = np.bincount(at[scored], minlength=len(prompts))
        if scored.any():
            kept = np.flatnonzero(counts)
            found[metric] = {prompts[i]: float(totals[i] / counts[i]) for i in kept}
    return found
