"""The row: what one line of training data means."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from rpo_bench.data.conversation import PromptText


def _absent(value: Any) -> bool:
    return value is None


class Row(BaseModel):
    """One scored response to one prompt: the source that every method's data is derived from.

    Attributes:
        prompt: What the policy is given: a text, or a ``Conversation``.
        response: The text that it, or another policy, answered.
        reward: The scalar feedback (higher is better).
        prompt_id: Equal for all responses to one prompt; derived from the prompt's text when absent.
        split: "train" or "test" when the source says so; assigned by the seeded split otherwise.
        behaviour_logp: Log-probability (nats, summed over the response) under the policy that wrote it.
        reference_rewards: Rewards of responses sampled from the reference policy for the same prompt.
        pair: Of a preference pair: which one. Its two rows share it, and no other row has it.
        label: Whether the data itself calls the response desirable; None: a rule on the rewards decides.
        metadata: Anything else, kept and not interpreted: no name in it means anything here.
        source: Where it was read ("FILE line 12"), for messages; no part of the row's content or hash.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: PromptText
    response: str
    reward: FiniteFloat
    prompt_id: str
    split: str | None = None
    behaviour_logp: FiniteFloat | None = None
    reference_rewards: tuple[FiniteFloat, ...] | None = None
    # Left out where absent, so that the rows of published records keep their hash.
    pair: str | None = Field(None, exclude_if=_absent)
    label: bool | None = Field(None, exclude_if=_absent)
    metadata: dict[str, Any] = Field(default_factory=dict)
    source: str | None = Field(None, exclude=True, repr=False)


class Prompt(BaseModel):
    """A prompt to evaluate on, with whatever the reward function needs to know about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_id: str
    text: PromptText
    metadata: dict[str, Any] = Field(default_factory=dict)
