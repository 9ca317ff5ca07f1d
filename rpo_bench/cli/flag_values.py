"""What no flag takes, on any verb: text that isn't any, and numbers that aren't finite."""

from typing import Any

import typer

from rpo_bench.files.plain_data import MAX_FLAG, number_problem, text_problem


def check_values(command: Any) -> None:
    """Lets every flag and argument of a command refuse such values before anything is done with them."""
    for parameter in command.params:
        parameter.process_value = _checking(parameter, parameter.process_value)


def _checking(parameter: Any, process: Any) -> Any:
    """``parameter.process_value``, which converts a value, between two looks at it."""

    def process_value(context: Any, value: Any) -> Any:
        problem = next(filter(None, map(_text_problem, _items(value))), None)
        if problem is None:
            found = process(context, value)
            problem = next(filter(None, map(_number_problem, _items(value), _items(found))), None)
        if problem is not None:
            raise typer.BadParameter(f"it {problem}", ctx=context, param=parameter)
        return found

    return process_value


def _text_problem(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return text_problem(value) or (
        f"is longer than {MAX_FLAG:,} characters" if len(value) > MAX_FLAG else None
    )


def _number_problem(text: Any, value: Any) -> str | None:
    """What is wrong with a number; ``text`` is what was written."""
    if not isinstance(value, int | float):
        return None
    if isinstance(text, str) and not isinstance(value, bool) and not (text.isascii() and "_" not in text):
        return "is a number that isn't written in plain digits"
    return number_problem(value)


def _items(value: Any) -> tuple[Any, ...]:
    """A value, or those of a flag that may be repeated."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)
