"""The row: one scored response to a prompt."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from rpo_bench.data.conversation import PromptText


def _absent(value: Any) -> bool:
    return value is None


class Row(BaseModel):
    """One scored response to one prompt, from which every method's data are derived.

    Attributes:
        prompt: The prompt: a text or a ``Conversation``.
        response: The response of the policy or of another one.
        reward: The scalar feedback (higher is better).
        prompt_id: Equal for all responses to one prompt; derived from the prompt's text when absent.
        split: "train" or "test" if given by the source; otherwise assigned by the seeded split.
        behaviour_logp: Log-probability (nats, summed over the response) under the policy that wrote it.
        reference_rewards: Rewards of responses sampled from the reference policy for the same prompt.
        pair: Id of the preference pair; only its two rows share it.
        label: The data's own label, desirable or not; None: a rule on the rewards decides.
        metadata: Any other fields, stored without interpretation.
        source: Where it was read ("FILE line 12"), for messages; not part of the row's content or hash.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: PromptText
    response: str
    reward: FiniteFloat
    prompt_id: str
    split: str | None = None
    behaviour_logp: FiniteFloat | None = None
    reference_rewards: tuple[FiniteFloat, ...] | None = None
    # Omitted when absent, so that rows of published records keep their hash.
    pair: str | None = Field(None, exclude_if=_absent)
    label: bool | None = Field(None, exclude_if=_absent)
    metadata: dict[str, Any] = Field(default_factory=dict)
    source: str | None = Field(None, exclude=True, repr=False)


class Prompt(BaseModel):
    """A prompt for evaluation, with metadata for the reward function."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_id: str
    text: PromptText
    metadata: dict[str, Any] = Field(default_factory=dict)
