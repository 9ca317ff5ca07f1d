"""What all verbs share: lazy import, spellings, environment variables, plug-ins, and how errors end."""

import errno
import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from rpo_bench.cli.flag_values import check_values
from rpo_bench.cli.spellings import add_spellings
from rpo_bench.cli.stopping import INTERRUPTED, stop
from rpo_bench.errors import UserError, bounded, did_you_mean, located
from rpo_bench.models.device import use_device
from rpo_bench.plugins.user_code import exit_call
from rpo_bench.registry import PLUGINS_VARIABLE, load_plugins
from rpo_bench.shadows import shadowed_in
from rpo_bench.terminal.guard import guarded

BUG = "This is a bug in rpo-bench: please report it with the lines above."
#: Errors of the operating system that the user can mend and we can't.
_MENDABLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR,
    errno.EISDIR, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG,
}  # fmt: skip

CONTEXT = {
    "token_normalize_func": lambda token: token.replace("_", "-"),  # --output_path is --output-path
    "help_option_names": ["--help", "-h"],
}


def _load_plugins(paths: list[Path] | None) -> None:
    load_plugins(paths or [])


PluginOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE",
        help="A Python file that registers methods or metrics; may be repeated.",
        callback=_load_plugins,
        envvar=PLUGINS_VARIABLE,
        show_envvar=False,
        expose_value=False,
        is_eager=True,
    ),
]


DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="Where models run: cpu, cuda, or cuda:N; the GPU if there is one.",
        callback=use_device,
        envvar="RPO_BENCH_DEVICE",
        show_envvar=False,
        expose_value=False,
        is_eager=True,
    ),
]
#: The verbs that load models have one of these flags.
_MODELS = {"--threads", "--trust-remote-code"}


@dataclass(frozen=True)
class Verb:
    """Where a verb's function (or typer app) is, and what the list of verbs says of it."""

    target: str  # "module:attribute"
    summary: str


class LazyCommand(TyperCommand):
    """Stands in the list of verbs; the verb's module is imported when its arguments are parsed."""

    def __init__(self, name: str, verb: Verb) -> None:
        super().__init__(name, short_help=verb.summary, help=verb.summary)
        self._verb = verb

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the real command, which then runs in this one's place."""
        command = load_command(str(self.name), self._verb)
        return command.make_context(info_name, args, parent=parent, **extra)


def load_command(name: str, verb: Verb) -> Any:
    """Imports a verb and equips it: help text, environment variables, ``--plugin``."""
    module, _, attribute = verb.target.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    is_group = isinstance(found, typer.Typer)
    command: Any = typer.main.get_group(found) if is_group else _single_command(found)
    command.name = name
    _equip(command)
    return command


def _single_command(function: Any) -> Any:
    """A function as a command; its docstring's sections for programmers stay out of the help text."""
    app = typer.Typer(add_completion=False)
    app.command(help=(inspect.getdoc(function) or "").partition("\n\nArgs:")[0])(function)
    return typer.main.get_command(app)


def _equip(command: Any) -> None:
    """Adds what every verb has, to a command or to all commands of a group."""
    for parameter in command.params:
        if isinstance(parameter, TyperOption) and parameter.envvar is None:
            parameter.envvar = environment_variable(parameter.opts)
            parameter.show_envvar = False
    command.params.append(_single_command(_with_plugins).params[0])
    if _MODELS & {flag for parameter in command.params for flag in parameter.opts}:
        command.params.append(_single_command(_with_device).params[0])
    add_spellings(command)
    check_values(command)
    for sub in getattr(command, "commands", {}).values():
        _equip(sub)


def _with_plugins(plugin: PluginOption = None) -> None:
    """Has the option ``--plugin``, for others to take."""


def _with_device(device: DeviceOption = None) -> None:
    """Has the option ``--device``, for others to take."""


def environment_variable(flags: Sequence[str]) -> str | None:
    """RPO_BENCH_OUTPUT_PATH for --output-path; None for an option without a long spelling."""
    long = [flag for flag in flags if flag.startswith("--")]
    return "RPO_BENCH_" + long[0].removeprefix("--").replace("-", "_").upper() if long else None


class Frame(TyperGroup):
    """The group of all verbs, whose every ending is one sentence and an exit code."""

    verbs: dict[str, Verb] = {}  # noqa: RUF012 (each subclass has its own)

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, verb in self.verbs.items():
            self.add_command(LazyCommand(name, verb), name)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs a command line; in standalone mode it ends the process, with a sentence where it must."""
        settings = (args, prog_name, complete_var, False, windows_expand_args)
        if not standalone_mode:
            return super().main(*settings, **extra)
        with guarded():
            return self._run_to_its_end(*settings, **extra)

    def _run_to_its_end(self, *settings: Any, **extra: Any) -> NoReturn:
        try:
            code = super().main(*settings, **extra)
        except (KeyboardInterrupt, typer.Abort):
            stop()
        except UserError as error:
            _end(str(error), 2)
        except SystemExit as error:
            if _of_typer(error):  # the reader of a pipe has left
                raise
            what = "A plug-in, or a function of yours,"
            _end(f"{what} {exit_call(error)} ({located(error)}): the run was ended by it.", 2)
        except MemoryError:
            _end("There is not enough memory for this: lower the batch size or the number of workers.", 2)
        except Exception as error:
            _end_of(error)
        if code == INTERRUPTED:  # what typer makes of Ctrl-C
            stop()
        sys.exit(code if isinstance(code, int) else 0)


def _of_typer(error: SystemExit) -> bool:
    """Whether typer or what it prints with ends the process; we don't in here: all others are users' code."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1].f_globals.get("__name__", "").partition(".")[0] in ("typer", "click", "rich")


def frame_class(verbs: dict[str, Verb]) -> type[Frame]:
    """The group class that a ``typer.Typer(cls=…)`` needs to have these verbs."""
    return type("RpoBench", (Frame,), {"verbs": verbs})


def _end_of(error: Exception) -> NoReturn:
    """Ends with the sentence of a usage or system error; anything else is a bug, and shows its traceback."""
    if hasattr(error, "format_message"):
        _end(usage_sentence(error), 2)
    if isinstance(error, OSError) and error.errno in _MENDABLE:
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror}.", 2)
    if (shadowed := shadowed_in(error)) is not None:
        _end(str(shadowed), 2)
    sys.stderr.write(f"{traceback.format_exc()}\n")
    _end(BUG, 1)


def usage_sentence(error: Any) -> str:
    """What is wrong with the command line, as one sentence."""
    message = " ".join(str(error.format_message()).split())
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    if hasattr(error, "possibilities") and hasattr(error, "option_name"):
        flags = [flag for p in context.command.params for flag in p.opts if flag.startswith("--")]
        hint = did_you_mean(error.option_name, flags)
        if "Did you mean" not in hint:  # all known ones would fill the screen
            hint = f" See {context.command_path} --help."
        return f"Unknown flag {error.option_name}.{hint}"
    unknown = re.match(r"No such command '(.*?)'", message)
    if unknown:
        return f"Unknown verb '{unknown[1]}'.{did_you_mean(unknown[1], context.command.commands)}"
    message = message.rstrip(".") + _from_environment(context, getattr(error, "param", None))
    return message if message.endswith("?") else f"{message}."


def _from_environment(context: Any, parameter: Any) -> str:
    """Which variable a wrong value came from, where it wasn't the command line."""
    source = context.get_parameter_source(parameter.name) if parameter is not None else None
    if source is None or source.name != "ENVIRONMENT":
        return ""
    names = [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar
    name = next((name for name in names if name in os.environ), names[0])
    return f" ({name}={os.environ.get(name, '')})"


def _end(sentence: str, code: int) -> NoReturn:
    from rpo_bench.remote.urls import without_secrets

    # It may repeat what was given, or what a library says.
    sys.stderr.write(f"{bounded(without_secrets(sentence))}\n")
    sys.exit(code)
