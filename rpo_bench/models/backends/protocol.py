"""The protocol of generation backends: tokens in, tokens and log-probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rpo_bench.data.row import Prompt
from rpo_bench.files.hashing import hash_json
from rpo_bench.spec.sections import Decoding

_SEEDS = 2**31  # every server accepts seeds below this


@dataclass(frozen=True)
class Request:
    """A request for one response.

    Attributes:
        token_ids: The prompt with special tokens and format.
        text: The same as text without beginning-of-sequence, for servers that take only text.
        seed: Its own seed, so that it doesn't depend on other requests.
    """

    token_ids: tuple[int, ...]
    text: str
    seed: int


@dataclass(frozen=True)
class SampledResponse:
    """One response.

    Attributes:
        token_ids: The sampled tokens including the end token; None if the backend doesn't return them.
        logps: Their log-probabilities (nats, temperature 1) from the backend; None as above.
        text: The decoded text; None if the backend doesn't decode.
        finished: Whether it ended before the length limit.
    """

    token_ids: tuple[int, ...] | None
    logps: tuple[float, ...] | None
    text: str | None
    finished: bool


@dataclass(frozen=True)
class Answer:
    """All responses in the order of the requests, and the backend's description for records."""

    sampled: tuple[SampledResponse, ...]
    described: dict[str, Any]


class Backend(Protocol):
    """Samples from one policy."""

    def sample(self, requests: Sequence[Request], decoding: Decoding, end_ids: Sequence[int]) -> Answer:
        """Samples one response per request.

        Args:
            requests: The requests.
            decoding: How to sample; ``max_new_tokens`` is set.
            end_ids: The tokens that end a response.

        Raises:
            UserError: sampling failed; the message says why.
        """
        ...


def sample_seed(seed: int, prompt: Prompt, sample: int) -> int:
    """The seed of one response; it depends only on the run's seed, the prompt and the sample's number."""
    return int(hash_json([seed, prompt.prompt_id, sample]), 16) % _SEEDS
