"""All verbs of the command line, those of groups included, as commands that are ready to parse."""

from collections.abc import Iterator
from typing import Any

from rpo_bench.cli.frame import load_command
from rpo_bench.cli.main import VERBS


def commands() -> dict[str, Any]:
    """``judge run`` → its command."""
    return {
        name: command for verb, at in VERBS.items() for name, command in _of(verb, load_command(verb, at))
    }


def flags(command: Any) -> set[str]:
    """Every spelling that a command understands, those that its help doesn't show included."""
    context = command.make_context("verb", [], resilient_parsing=True)
    found = {flag for flag in command.make_parser(context)._long_opt if flag.startswith("--")}
    forms = {"--json", "--format"}
    return found | forms if found & forms else found


def parsed(command: Any, *words: str) -> dict[str, Any]:
    """What a command is called with; arguments that are missing are passed over."""
    return dict(command.make_context("verb", list(words), resilient_parsing=True).params)


def _of(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", {})
    if not below or getattr(command, "invoke_without_command", False):
        yield name, command
    for sub, one in below.items():
        yield from _of(f"{name} {sub}", one)
