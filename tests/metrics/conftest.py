"""Samples for the tests of metrics."""

from collections.abc import Callable, Sequence

import pytest

from rpo_bench.data.row import Prompt
from rpo_bench.results.samples import StoredSample

Build = Callable[..., list[StoredSample]]


@pytest.fixture
def build() -> Build:
    """Makes samples from texts by prompt: build([["a", "b"], ["c"]]) is p0/0, p0/1, p1/0."""

    def make(texts: Sequence[Sequence[str]], **fields: object) -> list[StoredSample]:
        return [
            StoredSample(
                **{
                    "prompt_id": f"p{row}",
                    "prompt": f"question {row}",
                    "sample": number,
                    "text": text,
                    "finished": True,
                    "token_ids": tuple(range(len(text.split()) + 1)),
                    **fields,
                }
            )
            for row, group in enumerate(texts)
            for number, text in enumerate(group)
        ]

    return make


@pytest.fixture
def prompts() -> list[Prompt]:
    """p0 … p99."""
    return [Prompt(prompt_id=f"p{row}", text=f"question {row}") for row in range(100)]
