"""The row: what one line of training data means."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

#: Keys of the metadata that a preference pair's two rows carry: which pair, and which of the two.
PAIR, PREFERRED = "pair", "preferred"


class Row(BaseModel):
    """One scored response to one prompt: the source that every method's data is derived from.

    Attributes:
        prompt: The text that the policy is given.
        response: The text that it, or another policy, answered.
        reward: The scalar feedback (higher is better).
        prompt_id: Equal for all responses to one prompt; derived from the prompt's text when absent.
        split: "train" or "test" when the source says so; assigned by the seeded split otherwise.
        behaviour_logp: Log-probability (nats, summed over the response) under the policy that wrote it.
        reference_rewards: Rewards of responses sampled from the reference policy for the same prompt.
        metadata: Anything else, kept and not interpreted.
        source: Where it was read ("FILE line 12"), for messages; no part of the row's content or hash.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(min_length=1)
    response: str
    reward: FiniteFloat
    prompt_id: str
    split: str | None = None
    behaviour_logp: FiniteFloat | None = None
    reference_rewards: tuple[FiniteFloat, ...] | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    source: str | None = Field(None, exclude=True, repr=False)


class Prompt(BaseModel):
    """A prompt to evaluate on, with whatever the reward function needs to know about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_id: str
    text: str = Field(min_length=1)
    metadata: dict[str, Any] = Field(default_factory=dict)
