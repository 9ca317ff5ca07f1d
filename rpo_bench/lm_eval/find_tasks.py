"""Finds lm-eval tasks by name: ours, a user's and lm-eval's own; checks them before training."""

import importlib.util
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError, did_you_mean, first_line
from rpo_bench.lm_eval.schema import FLAG

log = logging.getLogger(__name__)

_LIKELIHOOD = ("loglikelihood", "multiple_choice", "loglikelihood_rolling")
_OWN_DATA = re.compile(
    r"^(custom_dataset:\s*!function|dataset_path:\s*['\"]?(json|csv|text|parquet|arrow)\b)", re.MULTILINE
)
_NEW_TOKENS = 256  # lm-eval's default length limit
_FEW = 10  # from this many documents on, a gold answer that is always first isn't chance


@dataclass(frozen=True)
class Reader:
    """A model to run the tasks on.

    Attributes:
        name: For messages.
        is_encoder_decoder: Whether prompts go to an encoder.
        closing: The special token that its tokenizer appends to a prompt, or None.
        context: Context length in tokens; None where positions are relative.
        response_limit: Separate token limit of an answer, or None.
    """

    name: str
    is_encoder_decoder: bool
    closing: str | None
    context: int | None = None
    response_limit: int | None = None

    @classmethod
    def of(
        cls,
        name: str,
        tokenizer: Any,
        is_encoder_decoder: bool,
        context: int | None = None,
        response_limit: int | None = None,
    ) -> "Reader":
        """The reader for a tokenizer."""
        last = tokenizer("a").input_ids[-1:]
        closing = (
            tokenizer.convert_ids_to_tokens(last)[0]
            if last and last[0] in tokenizer.all_special_ids
            else None
        )
        unknown = getattr(tokenizer, "unk_token", None)
        return cls(name, is_encoder_decoder, None if closing == unknown else closing, context, response_limit)


@contextmanager
def quiet_harness() -> Iterator[None]:
    """Limits lm-eval's logging to errors."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def check_installed() -> None:
    """Raises UserError where lm-eval isn't installed."""
    if importlib.util.find_spec("lm_eval") is None:
        raise UserError(f"{FLAG}: lm-eval isn't installed: pip install 'rpo-bench[lm-eval]'.")


def task_roots(include_path: Path | None = None) -> list[Path]:
    """Folders of our task files and the user's."""
    import tasks

    return [*map(Path, tasks.__path__), *([include_path] if include_path else [])]


def task_manager(names: Sequence[str], include_path: Path | None = None) -> Any:
    """The manager of the tasks; lm-eval's own are indexed only if one is requested, since that is slow.

    Raises:
        UserError: One is unknown; reports a broken task file, which lm-eval skips silently.
    """
    check_installed()
    from lm_eval.tasks import TaskManager

    roots = task_roots(include_path)
    with quiet_harness():
        manager = TaskManager(include_path=roots, include_defaults=False)
        unknown = set(names) - set(manager.all_tasks)
        if unknown:
            _refuse_broken(unknown, roots)
            manager = TaskManager(include_path=roots, include_defaults=True)
    for name in names:
        if name not in manager.all_tasks:
            hint = did_you_mean(name, manager.all_tasks)
            raise UserError(f"{FLAG} {name}: there is no such task, neither here nor in lm-eval.{hint}")
    return manager


def _refuse_broken(names: Collection[str], roots: Sequence[Path]) -> None:
    """Raises UserError for a task whose file can't be read; lm-eval would skip it silently."""
    from lm_eval.tasks._yaml_loader import load_yaml

    for file in sorted(file for root in roots for file in root.glob("**/*.yaml")):
        text = file.read_text(encoding="utf-8", errors="replace")
        named = re.search(r"^task:\s*['\"]?([^'\"\s]+)", text, re.MULTILINE)
        if named is None or named[1] not in names:
            continue
        try:
            load_yaml(file, resolve_func=False, recursive=True)
        except Exception as error:
            lines = " ".join(" ".join(str(error).split()).split()[:30])
            raise UserError(f"{FLAG} {named[1]}: {file} can't be read: {lines.rstrip('.')}.") from error


def loaded_tasks(names: Sequence[str], manager: Any) -> dict[str, Any]:
    """Name → task, with groups and tags expanded; raises UserError when one can't be loaded."""
    found: dict[str, Any] = {}
    for name in names:
        with quiet_harness(), hub_at_once([name], manager) as unreachable:
            try:
                found |= manager.load([name])["tasks"]
            except Exception as error:
                raise UserError(f"{FLAG} {name}: {_why(error, unreachable)}.") from error
    return found


def _why(error: Exception, unreachable: str | None) -> str:
    """Why a task can't be loaded."""
    if unreachable is None or not isinstance(error, OSError):  # datasets' ConnectionError is one
        return f"lm-eval can't load it: {first_line(error)}"
    return (
        f"its data are on the hub, which can't be reached ({unreachable}), and there is no copy on this "
        "machine: set HF_ENDPOINT to a mirror, copy the cache of a machine that has run it, or choose "
        "another task"
    )


@contextmanager
def hub_at_once(names: Sequence[str], manager: Any) -> Iterator[str | None]:
    """Avoids waiting for an unreachable hub where a task may need it; yields why it can't be reached."""
    from rpo_bench.remote.hub import no_waiting

    if all(_brings_its_data(name, manager) for name in names):
        yield None
        return
    with no_waiting() as why:
        yield why


def _brings_its_data(name: str, manager: Any) -> bool:
    """Whether a task's file takes its documents from a function or from local files."""
    entry = manager.task_index.get(name)
    if entry is None or entry.yaml_path is None:
        return False
    text = Path(entry.yaml_path).read_text(encoding="utf-8", errors="replace")
    return _OWN_DATA.search(text) is not None


def check_tasks(tasks: dict[str, Any], readers: Sequence[Reader]) -> None:
    """Checks that tasks and models fit; warns about tasks that lm-eval scores badly without a warning.

    Raises:
        UserError: A task would not measure what its name says.
    """
    for name, task in tasks.items():
        _check_choices(name, task)
        for reader in readers:
            _check_reader(name, task, reader)
            _check_room(name, task, reader)
        _warn_of_repeats(name, task)
        _warn_of_order(name, task)


def _check_choices(name: str, task: Any) -> None:
    choices = task.config.doc_to_choice
    if isinstance(choices, list) and any("{{" in str(choice) for choice in choices):
        raise UserError(
            f"{FLAG} {name}: its doc_to_choice is a list that contains templates, which lm-eval uses "
            'literally, so that every document has the same choices: write one template, "{{[a, b]}}".'
        )


def _check_reader(name: str, task: Any, reader: Reader) -> None:
    if task.OUTPUT_TYPE == "loglikelihood_rolling" and reader.is_encoder_decoder:
        raise UserError(
            f"{FLAG} {name}: it measures rolling perplexity, which means nothing for an encoder-decoder such "
            f"as {reader.name}: drop the task or the model."
        )
    if task.OUTPUT_TYPE in _LIKELIHOOD and not reader.is_encoder_decoder and reader.closing is not None:
        raise UserError(
            f"{FLAG} {name}: it compares likelihoods, for which lm-eval tokenises prompt and answer as one "
            f"text, but the tokenizer of {reader.name} ends a prompt with '{reader.closing}': choose a "
            "generation task."
        )


def _check_room(name: str, task: Any, reader: Reader) -> None:
    """Checks that answers fit; lm-eval would fail with an assertion.

    A decoder-only model's context holds prompt and answer, an encoder-decoder's decoder only the answer.
    """
    if task.OUTPUT_TYPE != "generate_until":
        return
    tokens = int((task.config.generation_kwargs or {}).get("max_gen_toks", _NEW_TOKENS))
    if reader.is_encoder_decoder:
        if reader.response_limit is not None and tokens > reader.response_limit:
            raise UserError(
                f"{FLAG} {name}: it lets a model write {tokens} tokens, and the decoder of {reader.name} has "
                f"{reader.response_limit} positions: drop the task or the model."
            )
    elif reader.context is not None and tokens >= reader.context:
        raise UserError(
            f"{FLAG} {name}: it lets a model write {tokens} tokens, which leaves no room for a prompt in the "
            f"context of {reader.name} ({reader.context} tokens): drop the task or the model."
        )


def _warn_of_repeats(name: str, task: Any) -> None:
    repeats = task.config.repeats or 1
    if repeats > 1 and not task.config.filter_list:
        log.warning(
            "%s generates %d answers, but without a filter_list lm-eval scores only the first.", name, repeats
        )


def _warn_of_order(name: str, task: Any) -> None:
    """Warns about gold answers that are always at the same place: a model that prefers it always wins."""
    if task.OUTPUT_TYPE != "multiple_choice":
        return
    golds = [task.doc_to_target(doc) for doc in task.eval_docs]
    if len(golds) >= _FEW and len({str(gold) for gold in golds}) == 1 and not task.multiple_input:
        log.warning(
            "%s has its right answer at the same position in every document: shuffle its choices.", name
        )
