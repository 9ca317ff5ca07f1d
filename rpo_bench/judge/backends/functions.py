"""Judges that are functions: a function in a Python file, and the task's gold reward."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rpo_bench.errors import UserError, located
from rpo_bench.judge.protocol import Attempt, Call, Mode
from rpo_bench.tasks.task import RewardFunction

_VERDICTS = ("A", "B", "tie")


@dataclass(frozen=True)
class PythonJudge:
    """``function(prompt, first, second)``: "A", "B", "tie", P(first is better), or None; a ``Judge``.

    Attributes:
        function: The judge; it gets the unchanged texts.
        name: FILE:FUNCTION, for messages.
        content: Hash of its file.
    """

    function: Callable[[str, str, str], Any]
    name: str
    content: str

    mode: Mode = "verdict"
    max_chars: int | None = None
    batch_size: int = 16
    concurrency: int = 1
    asks_again: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """The function's name and its file's content."""
        function = self.name.rpartition(":")[2]
        return {"backend": "python", "model": function, "content": self.content, "mode": self.mode}

    def ask(self, calls: Sequence[Call], again: bool = False) -> list[Attempt]:
        """Calls the function; raises UserError when it raises or returns another value."""
        return [self._ask(call) for call in calls]

    def estimated_tokens(self, call: Call) -> tuple[int, int]:
        """Nothing is priced."""
        return 0, 0

    def _ask(self, call: Call) -> Attempt:
        try:
            said = self.function(call.prompt.text, call.first, call.second)
        except Exception as error:
            raise UserError(f"--judge python:{self.name}: {located(error)}.") from error
        if said is None:
            return Attempt(text="The function has no verdict.")
        if said in _VERDICTS:
            return _verdict(said)
        if isinstance(said, int | float) and not isinstance(said, bool) and 0 <= said <= 1:
            return Attempt(text=None, label_logps=(_log(said), _log(1 - said)))
        raise UserError(
            f"--judge python:{self.name}: it returned {said!r}; it must return 'A', 'B', 'tie', the "
            "probability that the first is better, or None."
        )


@dataclass(frozen=True)
class GoldJudge:
    """The task's gold reward as a judge without errors; it isn't an LLM. Implements ``Judge``.

    Attributes:
        rewards: By task.
        content: Hashes of the tasks.
    """

    rewards: Mapping[str, RewardFunction]
    content: Mapping[str, str]

    mode: Mode = "verdict"
    max_chars: int | None = None
    batch_size: int = 256
    concurrency: int = 1
    asks_again: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """The hashes of the tasks."""
        return {"backend": "gold", "model": "gold", "content": dict(self.content), "mode": self.mode}

    def ask(self, calls: Sequence[Call], again: bool = False) -> list[Attempt]:
        """Prefers the response with the higher reward; no verdict if a reward is None."""
        return [self._ask(call) for call in calls]

    def estimated_tokens(self, call: Call) -> tuple[int, int]:
        """Nothing is priced."""
        return 0, 0

    def _ask(self, call: Call) -> Attempt:
        first, second = self.rewards[call.task]([call.prompt, call.prompt], [call.first, call.second])
        if first is None or second is None:
            return Attempt(text="The gold reward has no score for one of the responses.")
        return _verdict("tie" if first == second else "A" if first > second else "B")


def _verdict(said: str) -> Attempt:
    return Attempt(text=json.dumps({"verdict": said}), finish="stop")


def _log(p: float) -> float | None:
    return math.log(p) if p > 0 else None
