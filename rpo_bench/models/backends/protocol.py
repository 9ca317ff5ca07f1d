"""What every backend is asked, and what it says: tokens in, tokens and their log-probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rpo_bench.data.row import Prompt
from rpo_bench.files.hashing import hash_json
from rpo_bench.spec.schema import Decoding

_SEEDS = 2**31  # what every server takes as a seed


@dataclass(frozen=True)
class Request:
    """One response that is asked for.

    Attributes:
        token_ids: The prompt, special tokens and format included.
        text: The same as text, without the beginning-of-sequence; for servers that take no tokens.
        seed: Its own, so that it doesn't depend on what else is asked for.
    """

    token_ids: tuple[int, ...]
    text: str
    seed: int


@dataclass(frozen=True)
class SampledResponse:
    """One response.

    Attributes:
        token_ids: The very tokens that were sampled, the one that ended it included; None where the backend
            doesn't say.
        logps: Their log-probabilities (nats, temperature 1) as the backend computed them; None as above.
        text: What it says, as the backend decodes it; None where the backend leaves that to us.
        finished: Whether it ended by itself.
    """

    token_ids: tuple[int, ...] | None
    logps: tuple[float, ...] | None
    text: str | None
    finished: bool


@dataclass(frozen=True)
class Answer:
    """All responses, in the order of the requests, and what is recorded of the backend that gave them."""

    sampled: tuple[SampledResponse, ...]
    described: dict[str, Any]


class Backend(Protocol):
    """Something that samples from one policy."""

    def sample(self, requests: Sequence[Request], decoding: Decoding, end_ids: Sequence[int]) -> Answer:
        """Samples one response per request.

        Args:
            requests: What is asked.
            decoding: How to sample; ``max_new_tokens`` is set.
            end_ids: The tokens that end a response.

        Raises:
            UserError: it can't be had; the sentence says why.
        """
        ...


def sample_seed(seed: int, prompt: Prompt, sample: int) -> int:
    """The seed of one response: it belongs to (run's seed, prompt, number of the sample) alone."""
    return int(hash_json([seed, prompt.prompt_id, sample]), 16) % _SEEDS
