"""From ``--judge`` to a judge."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_file, hash_folder
from rpo_bench.judge.backends.parameters import AUTO, Limit, Temperature
from rpo_bench.judge.prompts import MAX_CHARS, load_template
from rpo_bench.judge.protocol import Judge, Mode
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.task import Task, load_function, try_function

FLAG = "--judge"
#: What a function is tried on: a prompt and two responses.
_TRIAL = ("Is this a question?", "This is an answer.", "This is another answer.")
FORMS = "openai:MODEL, hf:FOLDER, python:FILE:FUNCTION, gold or embedded"


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


def make_judge(source: str, options: JudgeOptions, tasks: Sequence[Task] = ()) -> Judge:
    """The judge that ``--judge`` names.

    Args:
        source: ``openai:MODEL``, ``hf:FOLDER``, ``python:FILE:FUNCTION``, ``gold`` or ``embedded``.
        options: How it is asked.
        tasks: Those whose responses are judged, for ``gold`` and ``embedded``.

    Raises:
        UserError: There is no such judge, or it can't be used.
    """
    kind, _, rest = source.partition(":")
    if kind == "openai" and rest:
        return _openai(rest, options)
    if kind == "hf" and rest:
        return _hf(Path(rest), options, options.template or "logprobs")
    if kind == "python" and rest:
        return _python(source, rest)
    if source == "gold":
        return _gold(tasks)
    if source == "embedded":
        return _embedded(tasks, options)
    raise UserError(f"{FLAG} {source}: write {FORMS}.")


def _openai(model: str, options: JudgeOptions) -> Judge:
    from rpo_bench.judge.backends.openai import OpenAIJudge

    judge = OpenAIJudge(
        model=model,
        template=load_template(options.template or options.mode, options.max_chars),
        mode=options.mode,
        base_url=options.base_url,
        key_env=options.key_env,
        concurrency=options.concurrency,
        timeout=options.timeout,
        max_retries=options.retries,
        max_tokens=options.max_tokens,
        limit=options.limit,
        temperature=options.temperature,
    )
    judge.check()
    return judge


def _hf(folder: Path, options: JudgeOptions, template: str, embedded: bool = False) -> Judge:
    from rpo_bench.judge.backends.hf import HFJudge
    from rpo_bench.models.hf import HFModel

    if not folder.is_dir():
        raise UserError(f"{FLAG} hf:{folder}: there is no such folder.")
    model = HFModel.load(folder, **vars(options.trust))
    shown = load_template(template, options.max_chars)
    return HFJudge(model, shown, hash_folder(folder), options.batch_size, embedded)


def _python(source: str, rest: str) -> Judge:
    from rpo_bench.judge.backends.functions import PythonJudge

    file, _, function = rest.rpartition(":")
    if not file or not Path(file).is_file():
        raise UserError(f"{FLAG} {source}: there is no file {file or rest}; write python:FILE:FUNCTION.")
    found = load_function(Path(file), function)
    try_function(Path(file), function, f"{FLAG} {source}", *_TRIAL)
    return PythonJudge(found, rest, hash_file(Path(file)))


def _gold(tasks: Sequence[Task]) -> Judge:
    from rpo_bench.judge.backends.functions import GoldJudge

    rewards = {}
    for task in tasks:
        if task.reward is None:
            raise UserError(f"{FLAG} gold: the task '{task.spec.name}' has no gold reward.")
        rewards[task.spec.name] = task.reward
    return GoldJudge(rewards, {task.spec.name: task.hash for task in tasks})


def _embedded(tasks: Sequence[Task], options: JudgeOptions) -> Judge:
    if len(tasks) != 1:
        raise UserError(f"{FLAG} embedded: judge one task at a time; each has its own judge.")
    (task,) = tasks
    own = task.spec.judge
    if own is None:
        raise UserError(f"{FLAG} embedded: the task '{task.spec.name}' has no judge of its own.")
    return _hf(task.folder / own, options, options.template or "embedded", embedded=True)
