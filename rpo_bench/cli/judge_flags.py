"""The flags of ``rpo-bench judge run``."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.options import flag
from rpo_bench.cli.run_flags import TrustFlags
from rpo_bench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpo_bench.judge.backends.parameters import Temperature
    from rpo_bench.judge.protocol import Judge, Pair
    from rpo_bench.judge.registry import JudgeOptions
    from rpo_bench.judge.running import Budget


class JudgeLimit(StrEnum):
    """The server's parameter for the length limit of a reply."""

    auto = "auto"
    max_tokens = "max_tokens"
    max_completion_tokens = "max_completion_tokens"
    none = "none"


class JudgeMode(StrEnum):
    """How the verdict is read from a server's reply."""

    verdict = "verdict"
    logprobs = "logprobs"


@dataclass(frozen=True)
class WhatFlags:
    """The responses to judge."""

    results: Annotated[
        list[Path], typer.Argument(help="Folders of results, or outputs of a run.", metavar="RESULTS…")
    ]
    against: Annotated[
        str,
        flag("--against", "The baseline: reference, a method (sft, sft@8), or all for every pair.", "What"),
    ] = "reference"
    methods: Annotated[str | None, flag("--methods", "Judge only these methods, e.g. rpo,kto.", "What")] = (
        None
    )
    samples: Annotated[int, flag("--judge-samples", "Samples to judge per prompt.", "What", min=1)] = 1
    limit: Annotated[int | None, flag("--limit", "Judge only the first N prompts.", "What", min=1)] = None
    include_path: Annotated[
        Path | None, flag("--include-path", "A folder with more tasks.", "What", metavar="DIR")
    ] = None
    output_path: Annotated[
        Path | None,
        flag(
            "--output-path",
            "Folder that contains judgements/; the run's output by default.",
            "What",
            metavar="DIR",
        ),
    ] = None


@dataclass(frozen=True)
class JudgeFlags:
    """The judge and its settings."""

    judge: Annotated[
        str,
        flag("--judge", "openai:MODEL, hf:FOLDER, python:FILE:FUNCTION, gold (no LLM) or embedded.", "Judge"),
    ]
    mode: Annotated[
        JudgeMode,
        flag("--judge-mode", "For a server: a verdict in words, or the log-probs of A and B.", "Judge"),
    ] = JudgeMode.verdict
    template: Annotated[
        str | None,
        flag("--judge-template", "A prompt template with {prompt}, {first} and {second}.", "Judge"),
    ] = None
    base_url: Annotated[
        str | None, flag("--judge-base-url", "URL of an OpenAI-compatible server.", "Judge")
    ] = None
    key_env: Annotated[
        str, flag("--judge-api-key-env", "Environment variable with the API key.", "Judge")
    ] = "OPENAI_API_KEY"
    concurrency: Annotated[int, flag("--judge-concurrency", "Parallel calls.", "Judge", min=1, max=1024)] = 8
    timeout: Annotated[
        float, flag("--judge-timeout", "Timeout of a request in seconds.", "Judge", min=0.01)
    ] = 60.0
    retries: Annotated[
        int, flag("--judge-retries", "Retries of a request, on 429, 5xx and timeouts.", "Judge", min=0)
    ] = 5
    max_tokens: Annotated[int, flag("--judge-max-tokens", "Longest reply, in tokens.", "Judge", min=1)] = 256
    limit_parameter: Annotated[
        JudgeLimit,
        flag(
            "--judge-limit-parameter",
            "The server's name for that limit; auto: the one that it accepts.",
            "Judge",
        ),
    ] = JudgeLimit.auto
    temperature: Annotated[
        str,
        flag(
            "--judge-temperature",
            "Temperature of a server's model; auto: 0 if it allows that; none: its default.",
            "Judge",
        ),
    ] = "auto"
    max_chars: Annotated[
        int, flag("--judge-max-chars", "Characters of each text to show, at most.", "Judge", min=100)
    ] = 8_000
    batch_size: Annotated[int, flag("--judge-batch-size", "Batch size of a local model.", "Judge", min=1)] = (
        32
    )

    @property
    def of_task(self) -> bool:
        """Whether the judge is the results' task's own."""
        return self.judge in ("gold", "embedded")

    def judge_of(self, pairs: "Sequence[Pair]", trust: TrustFlags, include_path: Path | None) -> "Judge":
        """The judge of some pairs; a task's own judge comes from the pairs' task."""
        from rpo_bench.judge.registry import make_judge
        from rpo_bench.tasks.task import known_task

        needed = {pair.task for pair in pairs} if self.of_task else set[str]()
        tasks = [known_task(name, include_path) for name in sorted(needed)]
        return make_judge(self.judge, self.options(trust), tasks)

    def options(self, trust: TrustFlags) -> "JudgeOptions":
        """The options in the engine's form."""
        from rpo_bench.judge.registry import JudgeOptions
        from rpo_bench.spec.trust import Trust

        return JudgeOptions(
            mode=self.mode.value,
            template=self.template,
            base_url=self.base_url,
            key_env=self.key_env,
            concurrency=self.concurrency,
            timeout=self.timeout,
            retries=self.retries,
            max_tokens=self.max_tokens,
            limit=self.limit_parameter.value,
            temperature=_temperature(self.temperature),
            max_chars=self.max_chars,
            batch_size=self.batch_size,
            trust=Trust(**vars(trust)),
        )


def _temperature(text: str) -> "Temperature":
    if text in ("auto", "none"):
        return text  # type: ignore[return-value]
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10:
        raise UserError(f"--judge-temperature {text}: write auto, none, or a number such as 0.")
    return value


@dataclass(frozen=True)
class CostFlags:
    """Prices and limits."""

    price_in: Annotated[
        float | None, flag("--judge-price-in", "Price of a million input tokens.", "Cost", min=0)
    ] = None
    price_out: Annotated[
        float | None, flag("--judge-price-out", "Price of a million output tokens.", "Cost", min=0)
    ] = None
    max_cost: Annotated[
        float | None,
        flag("--judge-max-cost", "Most that this run may spend; needs both prices.", "Cost", min=0),
    ] = None
    dry_run: Annotated[
        bool, flag("--dry-run", "Print the number of calls and their cost; call nothing.", "Cost")
    ] = False
    as_json: Annotated[bool, flag("--json", "Print JSON.", "Cost")] = False

    def budget(self) -> "Budget":
        """The budget in the engine's form; raises UserError for a limit without prices."""
        from rpo_bench.judge.running import Budget

        if self.max_cost is not None and (self.price_in is None or self.price_out is None):
            raise UserError("--judge-max-cost needs prices: give --judge-price-in and --judge-price-out.")
        return Budget(self.price_in or 0.0, self.price_out or 0.0, self.max_cost)

    @property
    def priced(self) -> bool:
        """Whether prices were given."""
        return bool(self.price_in or self.price_out)
