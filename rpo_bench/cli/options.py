"""How verbs declare their flags: groups of them as frozen dataclasses."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from enum import Enum
from typing import Any, TypeVar, get_type_hints

import typer

F = TypeVar("F", bound=Callable[..., Any])


def flag(name: str, text: str, panel: str | None = None, aliases: tuple[str, ...] = (), **more: Any) -> Any:
    """A long option, in a panel of the help."""
    return typer.Option(name, *aliases, help=text, rich_help_panel=panel, **more)


def with_flags(function: F) -> F:
    """Lets a command take its flags as frozen dataclasses: each field becomes an option.

    A field is annotated like a parameter of typer: ``Annotated[type, flag(…)]``.
    """
    hints = get_type_hints(function, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if hasattr(kind, "__dataclass_fields__")}

    def command(**values: Any) -> Any:
        given = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            for name, kind in groups.items()
        }
        return function(**given, **values)

    parameters = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in groups:
            parameters.append(parameter.replace(annotation=hints[name], kind=parameter.KEYWORD_ONLY))
            continue
        inner, own = get_type_hints(groups[name], include_extras=True), inspect.get_annotations(groups[name])
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=inner[field.name],
            )
            for field in sorted(fields(groups[name]), key=lambda one: one.name not in own)  # inherited last
        ]
    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    command.__module__ = function.__module__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command  # type: ignore[return-value]


def flag_name(hint: Any) -> str | None:
    """The flag that a field's annotation declares; None for an argument."""
    option = hint.__metadata__[0]
    return str(option.default) if isinstance(option, typer.models.OptionInfo) else None


def given_flags(*groups: Any) -> list[str]:
    """The options that reproduce the groups' values; without defaults and arguments."""
    found: list[str] = []
    for group in groups:
        hints = get_type_hints(type(group), include_extras=True)
        for field in fields(group):
            name, value = flag_name(hints[field.name]), getattr(group, field.name)
            if name is not None and value not in (None, False, field.default):
                found.append(name)
                found += [] if value is True else [str(value.value if isinstance(value, Enum) else value)]
    return found
