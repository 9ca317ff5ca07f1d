"""From ``--judge`` to a judge; plug-ins add theirs.

A plug-in registers a function that makes its judge::

    JUDGES.add("shortest", lambda asked: Shortest())
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rpo_bench.errors import UserError
from rpo_bench.judge.backends.parameters import AUTO, Limit, Temperature
from rpo_bench.judge.prompts import MAX_CHARS
from rpo_bench.judge.protocol import Judge, Mode
from rpo_bench.registry import Registry
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.task import Task

FLAG = "--judge"
_FORMS = {"openai": "openai:MODEL", "hf": "hf:FOLDER", "python": "python:FILE:FUNCTION"}  # what has to follow
_ALONE = ("gold", "embedded")  # nothing may follow


@dataclass(frozen=True)
class JudgeOptions:
    """How a judge is asked; what a judge has no use for is ignored."""

    mode: Mode = "verdict"
    template: str | None = None
    base_url: str | None = None
    key_env: str = "OPENAI_API_KEY"
    concurrency: int = 8
    timeout: float = 60.0
    retries: int = 5
    max_tokens: int = 256
    limit: Limit = AUTO
    temperature: Temperature = AUTO
    max_chars: int = MAX_CHARS
    batch_size: int = 32
    trust: Trust = field(default_factory=Trust)


@dataclass(frozen=True)
class JudgeRequest:
    """What ``--judge`` asks for.

    Attributes:
        source: as it was given: ``NAME`` or ``NAME:REST``.
        rest: what follows the name; empty where nothing does.
        options: how the judge is asked.
        tasks: those whose responses are judged.
    """

    source: str
    rest: str
    options: JudgeOptions
    tasks: Sequence[Task]


JudgeMaker = Callable[[JudgeRequest], Judge]

JUDGES: Registry[JudgeMaker] = Registry(
    "judge",
    "rpo_bench.judges",
    {
        "openai": "rpo_bench.judge.makers:openai_judge",
        "hf": "rpo_bench.judge.makers:hf_judge",
        "python": "rpo_bench.judge.makers:python_judge",
        "gold": "rpo_bench.judge.makers:gold_judge",
        "embedded": "rpo_bench.judge.makers:embedded_judge",
    },
)


def make_judge(source: str, options: JudgeOptions, tasks: Sequence[Task] = ()) -> Judge:
    """The judge that ``--judge`` names.

    Args:
        source: ``openai:MODEL``, ``hf:FOLDER``, ``python:FILE:FUNCTION``, ``gold``, ``embedded``, or the name
            of a plug-in's judge with whatever it takes behind a colon.
        options: How it is asked.
        tasks: Those whose responses are judged, for ``gold`` and ``embedded``.

    Raises:
        UserError: There is no such judge, or it can't be used.
    """
    name, _, rest = source.partition(":")
    misspelt = name in _ALONE if rest else name in _FORMS
    if misspelt or name not in JUDGES:
        forms = [_FORMS.get(known, known) for known in JUDGES]
        raise UserError(f"{FLAG} {source}: write {', '.join(forms[:-1])} or {forms[-1]}.")
    return JUDGES.get(name)(JudgeRequest(source, rest, options, tasks))
