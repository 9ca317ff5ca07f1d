"""A judge in one file: the shorter response wins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rpo_bench.judge.protocol import Attempt, Call, Mode
from rpo_bench.judge.registry import JUDGES, JudgeRequest


@dataclass(frozen=True)
class Shortest:
    """Implements ``rpo_bench.judge.protocol.Judge``."""

    mode: Mode = "verdict"
    max_chars: int | None = None
    batch_size: int = 64
    concurrency: int = 1
    asks_again: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """What its judgements depend on: replies are stored under it."""
        return {"backend": "shortest", "model": "characters", "version": 1, "mode": self.mode}

    def ask(self, calls: Sequence[Call], again: bool = False) -> list[Attempt]:
        """One reply for each call, in the form that every judge's reply has."""
        return [Attempt(text=f'{{"verdict": "{self._verdict(call)}"}}') for call in calls]

    def estimated_tokens(self, call: Call) -> tuple[int, int]:
        """Tokens in and out, where somebody is to pay for them."""
        return 0, 0

    def _verdict(self, call: Call) -> str:
        first, second = len(call.first), len(call.second)
        return "tie" if first == second else "A" if first < second else "B"


def shortest(asked: JudgeRequest) -> Shortest:
    """``--judge shortest``."""
    return Shortest()


JUDGES.add("shortest", shortest)
