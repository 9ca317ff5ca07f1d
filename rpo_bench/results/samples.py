"""What is stored of each sample: its text and tokens, what was said of them, and its scores."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, model_validator

from rpo_bench.data.conversation import PromptText
from rpo_bench.errors import UserError
from rpo_bench.models.protocol import Generation
from rpo_bench.spec.schema import Frozen

#: Decimals of a stored log-probability: rounding moves it by 5e-7 nats at most, less than float32 computing.
LOGP_DECIMALS = 6

#: Significant digits of a stored score.
SCORE_DIGITS = 9


class StoredSample(Frozen):
    """A line of ``samples.jsonl.gz``: one response, with what was said of its very tokens."""

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
    """A line of ``scores.jsonl.gz``: a number per sample-level metric, or why there is none."""

    prompt_id: str
    sample: int = Field(ge=0)
    scores: dict[str, FiniteFloat | None]
    unscored: dict[str, str] = Field(default_factory=dict, description="metric → reason")


def stored_sample(
    generation: Generation,
    policy_logps: NDArray[np.float32] | None = None,
    reference_logps: NDArray[np.float32] | None = None,
) -> StoredSample:
    """What is stored of a generation.

    Args:
        generation: The sample.
        policy_logps: Log-probabilities of its tokens under the policy, (T,).
        reference_logps: The same under the reference, (T,).

    Raises:
        UserError: a log-probability isn't finite, as from a model that has diverged.
    """
    for name, logps in (("policy", policy_logps), ("reference", reference_logps)):
        if logps is not None and not np.isfinite(logps).all():
            raise UserError(
                f"The {name} gives non-finite log-probabilities on prompt '{generation.prompt_id}': "
                "it has diverged or is damaged."
            )
    return StoredSample(
        prompt_id=generation.prompt_id,
        prompt=generation.prompt,
        sample=generation.sample,
        text=generation.text,
        finished=generation.finished,
        token_ids=generation.token_ids,
        policy_logps=_rounded(policy_logps),
        reference_logps=_rounded(reference_logps),
    )


def rounded_score(value: float) -> float:
    """A score as it is stored: nine significant digits."""
    return float(f"{value:.{SCORE_DIGITS}g}")


def _rounded(logps: NDArray[np.float32] | None) -> tuple[float, ...] | None:
    if logps is None:
        return None
    values = np.round(np.asarray(logps, dtype=np.float64), LOGP_DECIMALS) + 0.0  # + 0.0: no minus zero
    return tuple(values.tolist())
