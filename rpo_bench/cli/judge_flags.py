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
    """Under which name a server is told how long a reply may be."""

    auto = "auto"
    max_tokens = "max_tokens"
    max_completion_tokens = "max_completion_tokens"
    none = "none"


class JudgeMode(StrEnum):
    """What is read of a server's answer."""

    verdict = "verdict"
    logprobs = "logprobs"


@dataclass(frozen=True)
class WhatFlags:
    """Which responses are judged."""

    results: Annotated[
        list[Path], typer.Argument(help="Folders of results, or outputs of a run.", metavar="RESULTS…")
    ]
    against: Annotated[
        str,
        flag("--against", "The baseline: reference, a method (sft, sft@8), or all for each pair.", "What"),
    ] = "reference"
    methods: Annotated[str | None, flag("--methods", "Only these are judged: rpo,kto.", "What")] = None
    samples: Annotated[
        int, flag("--judge-samples", "Of each prompt, how many are judged.", "What", min=1)
    ] = 1
    limit: Annotated[int | None, flag("--limit", "Only the first so many prompts.", "What", min=1)] = None
    include_path: Annotated[
        Path | None, flag("--include-path", "A folder of further tasks.", "What", metavar="DIR")
    ] = None
    output_path: Annotated[
        Path | None,
        flag(
            "--output-path",
            "Where judgements/ lies; the run's output by default.",
            "What",
            metavar="DIR",
        ),
    ] = None


@dataclass(frozen=True)
class JudgeFlags:
    """Who judges, and how it is asked."""

    judge: Annotated[
        str,
        flag("--judge", "openai:MODEL, hf:FOLDER, python:FILE:FUNCTION, gold (no LLM) or embedded.", "Judge"),
    ]
    mode: Annotated[
        JudgeMode, flag("--judge-mode", "Of a server: a verdict in words, or A's and B's log-probs.", "Judge")
    ] = JudgeMode.verdict
    template: Annotated[
        str | None, flag("--judge-template", "A file with {prompt}, {first} and {second}.", "Judge")
    ] = None
    base_url: Annotated[str | None, flag("--judge-base-url", "Of an OpenAI-compatible server.", "Judge")] = (
        None
    )
    key_env: Annotated[
        str, flag("--judge-api-key-env", "Name of the environment variable with the key.", "Judge")
    ] = "OPENAI_API_KEY"
    concurrency: Annotated[int, flag("--judge-concurrency", "Calls in flight.", "Judge", min=1, max=1024)] = 8
    timeout: Annotated[float, flag("--judge-timeout", "Seconds of a request.", "Judge", min=0.01)] = 60.0
    retries: Annotated[
        int, flag("--judge-retries", "Of a request, on 429, 5xx and time-outs.", "Judge", min=0)
    ] = 5
    max_tokens: Annotated[int, flag("--judge-max-tokens", "Of a reply.", "Judge", min=1)] = 256
    limit_parameter: Annotated[
        JudgeLimit,
        flag(
            "--judge-limit-parameter", "How a server is told that; auto: by the name that it takes.", "Judge"
        ),
    ] = JudgeLimit.auto
    temperature: Annotated[
        str,
        flag("--judge-temperature", "Of a server's model; auto: 0 where it lets us; none: its own.", "Judge"),
    ] = "auto"
    max_chars: Annotated[int, flag("--judge-max-chars", "Of each text, shown at most.", "Judge", min=100)] = (
        8_000
    )
    batch_size: Annotated[int, flag("--judge-batch-size", "Of a local model.", "Judge", min=1)] = 32

    @property
    def of_task(self) -> bool:
        """Whether the judge is one that the task of the results brings."""
        return self.judge in ("gold", "embedded")

    def judge_of(self, pairs: "Sequence[Pair]", trust: TrustFlags, include_path: Path | None) -> "Judge":
        """The judge that is asked about pairs; those that a task brings are taken from the pairs' tasks."""
        from rpo_bench.judge.registry import make_judge
        from rpo_bench.tasks.task import known_task

        needed = {pair.task for pair in pairs} if self.of_task else set[str]()
        tasks = [known_task(name, include_path) for name in sorted(needed)]
        return make_judge(self.judge, self.options(trust), tasks)

    def options(self, trust: TrustFlags) -> "JudgeOptions":
        """As the engine wants them."""
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
    """What may be spent."""

    price_in: Annotated[float | None, flag("--judge-price-in", "Of a million tokens in.", "Cost", min=0)] = (
        None
    )
    price_out: Annotated[
        float | None, flag("--judge-price-out", "Of a million tokens out.", "Cost", min=0)
    ] = None
    max_cost: Annotated[
        float | None, flag("--judge-max-cost", "What this run may spend; needs both prices.", "Cost", min=0)
    ] = None
    dry_run: Annotated[
        bool, flag("--dry-run", "Say how many calls it would take, and what they cost; call nothing.", "Cost")
    ] = False
    as_json: Annotated[bool, flag("--json", "Print JSON.", "Cost")] = False

    def budget(self) -> "Budget":
        """As the engine wants it; raises UserError for a limit without prices."""
        from rpo_bench.judge.running import Budget

        if self.max_cost is not None and (self.price_in is None or self.price_out is None):
            raise UserError("--judge-max-cost needs the prices: give --judge-price-in and --judge-price-out.")
        return Budget(self.price_in or 0.0, self.price_out or 0.0, self.max_cost)

    @property
    def priced(self) -> bool:
        """Whether there is a price to speak of."""
        return bool(self.price_in or self.price_out)
