"""Makes judges from ``--judge``; plug-ins can register their own.

A plug-in registers a function that makes its judge::

    JUDGES.add("shortest", lambda request: Shortest())
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
_FORMS = {"openai": "openai:MODEL", "hf": "hf:FOLDER", "python": "python:FILE:FUNCTION"}  # need an argument
_ALONE = ("gold", "embedded")  # take no argument


@dataclass(frozen=True)
class JudgeOptions:
    """Settings of a judge; each judge ignores those it doesn't need."""

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
    """A parsed ``--judge`` with its settings.

    Attributes:
        source: the value as given: ``NAME`` or ``NAME:REST``.
        rest: the part after the name; may be empty.
        options: settings of the judge.
        tasks: the tasks of the judged responses.
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
    """Makes the judge for ``--judge``.

    Args:
        source: ``openai:MODEL``, ``hf:FOLDER``, ``python:FILE:FUNCTION``, ``gold``, ``embedded``, or the name
            of a plug-in's judge, with its argument after a colon.
        options: Settings of the judge.
        tasks: The tasks of the judged responses, for ``gold`` and ``embedded``.

    Raises:
        UserError: The judge is unknown or unusable.
    """
    name, _, rest = source.partition(":")
    misspelt = name in _ALONE if rest else name in _FORMS
    if misspelt or name not in JUDGES:
        forms = [_FORMS.get(known, known) for known in JUDGES]
        raise UserError(f"{FLAG} {source}: write {', '.join(forms[:-1])} or {forms[-1]}.")
    return JUDGES.get(name)(JudgeRequest(source, rest, options, tasks))
