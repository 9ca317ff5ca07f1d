"""Checks of every flag's value, on every verb: invalid text and non-finite numbers."""

from typing import Any

import typer

from rpo_bench.files.plain_data import MAX_FLAG, number_problem, text_problem


def check_values(command: Any) -> None:
    """Makes every flag and argument of a command refuse invalid values before the command runs."""
    for parameter in command.params:
        parameter.process_value = _checking(parameter, parameter.process_value)


def _checking(parameter: Any, process: Any) -> Any:
    """``parameter.process_value``, which converts a value, with a check before and after."""

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
    """The problem with a number, or None; ``text`` is how it was written."""
    if not isinstance(value, int | float):
        return None
    if isinstance(text, str) and not isinstance(value, bool) and not (text.isascii() and "_" not in text):
        return "is a number not written in plain digits"
    return number_problem(value)


def _items(value: Any) -> tuple[Any, ...]:
    """A value, or the values of a repeatable flag."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)
