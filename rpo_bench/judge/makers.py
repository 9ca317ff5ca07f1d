"""The judges that come with RPO-Bench, made of what ``--judge`` says."""

from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_file, hash_folder
from rpo_bench.judge.prompts import load_template
from rpo_bench.judge.protocol import Judge
from rpo_bench.judge.registry import FLAG, JudgeOptions, JudgeRequest
from rpo_bench.tasks.task import load_function, try_function

#: What a function is tried on: a prompt and two responses.
_TRIAL = ("Is this a question?", "This is an answer.", "This is another answer.")


def openai_judge(asked: JudgeRequest) -> Judge:
    """``openai:MODEL``: any server of chat completions."""
    from rpo_bench.judge.backends.openai import OpenAIJudge

    options = asked.options
    judge = OpenAIJudge(
        model=asked.rest,
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


def hf_judge(asked: JudgeRequest) -> Judge:
    """``hf:FOLDER``: a local model that is asked for A or B."""
    return _loaded(Path(asked.rest), asked.options, asked.options.template or "logprobs")


def _loaded(folder: Path, options: JudgeOptions, template: str, embedded: bool = False) -> Judge:
    from rpo_bench.judge.backends.hf import HFJudge
    from rpo_bench.models.hf import HFModel

    if not folder.is_dir():
        raise UserError(f"{FLAG} hf:{folder}: there is no such folder.")
    model = HFModel.load(folder, **vars(options.trust))
    shown = load_template(template, options.max_chars)
    return HFJudge(model, shown, hash_folder(folder), options.batch_size, embedded)


def python_judge(asked: JudgeRequest) -> Judge:
    """``python:FILE:FUNCTION``: a function of one's own."""
    from rpo_bench.judge.backends.functions import PythonJudge

    file, _, function = asked.rest.rpartition(":")
    if not file or not Path(file).is_file():
        raise UserError(
            f"{FLAG} {asked.source}: there is no file {file or asked.rest}; write python:FILE:FUNCTION."
        )
    found = load_function(Path(file), function)
    try_function(Path(file), function, f"{FLAG} {asked.source}", *_TRIAL)
    return PythonJudge(found, asked.rest, hash_file(Path(file)))


def gold_judge(asked: JudgeRequest) -> Judge:
    """``gold``: the tasks' own rewards, which know the truth."""
    from rpo_bench.judge.backends.functions import GoldJudge

    rewards = {}
    for task in asked.tasks:
        if task.reward is None:
            raise UserError(f"{FLAG} gold: the task '{task.spec.name}' has no gold reward.")
        rewards[task.spec.name] = task.reward
    return GoldJudge(rewards, {task.spec.name: task.hash for task in asked.tasks})


def embedded_judge(asked: JudgeRequest) -> Judge:
    """``embedded``: the task's own judge."""
    if len(asked.tasks) != 1:
        raise UserError(f"{FLAG} embedded: judge one task at a time; each has its own judge.")
    (task,) = asked.tasks
    own = task.spec.judge
    if own is None:
        raise UserError(f"{FLAG} embedded: the task '{task.spec.name}' has no judge of its own.")
    return _loaded(task.folder / own, asked.options, asked.options.template or "embedded", embedded=True)
