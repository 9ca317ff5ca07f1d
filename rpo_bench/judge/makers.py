"""Makes the built-in judges from ``--judge``."""

from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_file, hash_folder
from rpo_bench.judge.prompts import load_template
from rpo_bench.judge.protocol import Judge
from rpo_bench.judge.registry import FLAG, JudgeOptions, JudgeRequest
from rpo_bench.tasks.functions import load_function, try_function

#: A trial prompt and two responses for functions.
_TRIAL = ("Is this a question?", "This is an answer.", "This is another answer.")


def openai_judge(request: JudgeRequest) -> Judge:
    """``openai:MODEL``: any server of chat completions."""
    from rpo_bench.judge.backends.openai import OpenAIJudge

    options = request.options
    judge = OpenAIJudge(
        model=request.rest,
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


def hf_judge(request: JudgeRequest) -> Judge:
    """``hf:FOLDER``: a local model that answers A or B."""
    return _loaded(Path(request.rest), request.options, request.options.template or "logprobs")


def _loaded(folder: Path, options: JudgeOptions, template: str, embedded: bool = False) -> Judge:
    from rpo_bench.judge.backends.hf import HFJudge
    from rpo_bench.models.hf import HFModel

    if not folder.is_dir():
        raise UserError(f"{FLAG} hf:{folder}: there is no such folder.")
    model = HFModel.load(folder, **vars(options.trust))
    shown = load_template(template, options.max_chars)
    return HFJudge(model, shown, hash_folder(folder), options.batch_size, embedded)


def python_judge(request: JudgeRequest) -> Judge:
    """``python:FILE:FUNCTION``: a user's function."""
    from rpo_bench.judge.backends.functions import PythonJudge

    file, _, function = request.rest.rpartition(":")
    if not file or not Path(file).is_file():
        raise UserError(
            f"{FLAG} {request.source}: there is no file {file or request.rest}; write python:FILE:FUNCTION."
        )
    found = load_function(Path(file), function)
    try_function(Path(file), function, f"{FLAG} {request.source}", *_TRIAL)
    return PythonJudge(found, request.rest, hash_file(Path(file)))


def gold_judge(request: JudgeRequest) -> Judge:
    """``gold``: the tasks' own gold rewards."""
    from rpo_bench.judge.backends.functions import GoldJudge

    rewards = {}
    for task in request.tasks:
        if task.reward is None:
            raise UserError(f"{FLAG} gold: the task '{task.spec.name}' has no gold reward.")
        rewards[task.spec.name] = task.reward
    return GoldJudge(rewards, {task.spec.name: task.hash for task in request.tasks})


def embedded_judge(request: JudgeRequest) -> Judge:
    """``embedded``: the task's own judge."""
    if len(request.tasks) != 1:
        raise UserError(f"{FLAG} embedded: judge one task at a time, as each has its own judge.")
    (task,) = request.tasks
    own = task.spec.judge
    if own is None:
        raise UserError(f"{FLAG} embedded: the task '{task.spec.name}' has no judge of its own.")
    return _loaded(task.folder / own, request.options, request.options.template or "embedded", embedded=True)
