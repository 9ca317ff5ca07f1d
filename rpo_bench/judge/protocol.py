"""The protocol of judges: calls, attempts and replies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator, Field, FiniteFloat

from rpo_bench.data.row import Prompt
from rpo_bench.remote.scrubbing import well_formed
from rpo_bench.spec.settings import Frozen

#: Text from others in a form that files can hold.
Said = Annotated[str, BeforeValidator(lambda text: well_formed(text) if isinstance(text, str) else text)]
Mode = Literal["verdict", "logprobs"]

REFUSED = "refusal"  # ``finish`` of a reply in which the judge declines to answer


@dataclass(frozen=True)
class Pair:
    """Two responses to one prompt, to be compared.

    Attributes:
        question: A stable id of the question, unique within a model and a baseline.
        task: The prompt's task.
        prompt: The prompt.
        model: Label of the row being judged.
        baseline: Label of the other.
        model_response: The model's response.
        baseline_response: The baseline's response.
    """

    question: str
    task: str
    prompt: Prompt
    model: str
    baseline: str
    model_response: str
    baseline_response: str

    @property
    def identical(self) -> bool:
        """Whether the responses are equal, which is a tie without a call."""
        return self.model_response == self.baseline_response


@dataclass(frozen=True)
class Call:
    """One call to a judge: which of two responses is better?

    Attributes:
        key: Content hash of the texts shown to the judge.
        task: The prompt's task.
        prompt: The prompt.
        first: The response shown as A.
        second: The response shown as B.
    """

    key: str
    task: str
    prompt: Prompt
    first: str
    second: str


class Attempt(Frozen):
    """The raw reply to a call, or why there is none."""

    text: Said | None = Field(None, description="as the judge wrote it; nothing is taken off")
    finish: Said | None = Field(None, description="why the judge stopped writing: stop, length …")
    label_logps: tuple[FiniteFloat | None, FiniteFloat | None] | None = Field(
        None, description="nats of the labels A and B; null for one that the server doesn't list"
    )
    error: Said | None = Field(None, description="the call failed; it is tried again by the next run")
    sent: dict[str, float | int | bool] | None = Field(
        None, description="the request's parameters as the server took them; null where there are none"
    )
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = Field(0.0, ge=0, description="wall clock, waiting between retries included")
    retries: int = Field(0, ge=0, description="HTTP requests beyond the first")


class StoredReply(Frozen):
    """A line of ``replies.jsonl``: a finished call with all its attempts."""

    key: str
    attempts: tuple[Attempt, ...] = Field(min_length=1)

    @property
    def failed(self) -> bool:
        """Whether there was no reply; the next run tries again."""
        return self.attempts[-1].error is not None


def parameters_sent(replies: Iterable[StoredReply]) -> tuple[dict[str, float | int | bool], ...]:
    """The distinct parameters of answered requests, in order of first appearance."""
    found: list[dict[str, float | int | bool]] = []
    for attempt in (one for reply in replies for one in reply.attempts):
        if attempt.error is None and attempt.sent is not None and attempt.sent not in found:
            found.append(attempt.sent)
    return tuple(found)


class Judge(Protocol):
    """Compares two responses."""

    @property
    def mode(self) -> Mode:
        """Whether it writes a verdict, or gives the log-probabilities of the labels."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """Everything its judgements depend on, including ``mode``; JSON-able, without secrets."""
        ...

    @property
    def max_chars(self) -> int | None:
        """Maximum characters of each text shown; None: no limit."""
        ...

    @property
    def batch_size(self) -> int:
        """Calls per batch."""
        ...

    @property
    def concurrency(self) -> int:
        """Maximum number of concurrent batches."""
        ...

    @property
    def asks_again(self) -> bool:
        """Whether a second call may give a different reply."""
        ...

    def ask(self, calls: Sequence[Call], again: bool = False) -> list[Attempt]:
        """One attempt per call; a failure is an attempt with an error, or a UserError that ends the run.

        Args:
            calls: At most ``batch_size``.
            again: Whether their first replies couldn't be parsed.
        """
        ...

    def estimated_tokens(self, call: Call) -> tuple[int, int]:
        """Upper estimate of the tokens in and out of a call; (0, 0) for a judge that isn't priced."""
        ...
