"""Shared by all verbs: lazy import, spellings, environment variables, plug-ins and error handling."""

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
from rpo_bench.cli.stopping import INTERRUPTED, is_interrupt, stop
from rpo_bench.errors import UserError, bounded, did_you_mean, located
from rpo_bench.models.device import use_device
from rpo_bench.plugins.user_code import exit_call
from rpo_bench.registry import PLUGINS_VARIABLE, load_plugins
from rpo_bench.shadows import shadowed_in
from rpo_bench.terminal.guard import guarded

BUG = "This is a bug in rpo-bench: please report it with the lines above."
#: Operating system errors that only the user can fix.
_USER_FIXABLE = {
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
        help="Device for models: cpu, cuda, or cuda:N; by default the GPU if there is one.",
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
    """The location of a verb's function (or typer app), and its summary in the list of verbs."""

    target: str  # "module:attribute"
    summary: str


class LazyCommand(TyperCommand):
    """A placeholder in the list of verbs; the verb's module is imported when its arguments are parsed."""

    def __init__(self, name: str, verb: Verb) -> None:
        super().__init__(name, short_help=verb.summary, help=verb.summary)
        self._verb = verb

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the real command, which runs instead of the placeholder."""
        command = load_command(str(self.name), self._verb)
        return command.make_context(info_name, args, parent=parent, **extra)


def load_command(name: str, verb: Verb) -> Any:
    """Imports a verb and adds help text, environment variables and ``--plugin``."""
    module, _, attribute = verb.target.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    is_group = isinstance(found, typer.Typer)
    command: Any = typer.main.get_group(found) if is_group else _single_command(found)
    command.name = name
    _equip(command)
    return command


def _single_command(function: Any) -> Any:
    """A function as a command; the help text omits its docstring's sections for programmers."""
    app = typer.Typer(add_completion=False)
    app.command(help=(inspect.getdoc(function) or "").partition("\n\nArgs:")[0])(function)
    return typer.main.get_command(app)


def _equip(command: Any) -> None:
    """Adds the common options to a command or to all commands of a group."""
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
    """Donor of the option ``--plugin``."""


def _with_device(device: DeviceOption = None) -> None:
    """Donor of the option ``--device``."""


def environment_variable(flags: Sequence[str]) -> str | None:
    """RPO_BENCH_OUTPUT_PATH for --output-path; None for an option without a long form."""
    long = [flag for flag in flags if flag.startswith("--")]
    return "RPO_BENCH_" + long[0].removeprefix("--").replace("-", "_").upper() if long else None


class Frame(TyperGroup):
    """The group of all verbs; every error ends in one sentence and an exit code."""

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
        """Runs a command line; in standalone mode it ends the process, with a sentence on error."""
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
            if _of_typer(error):  # the reader of a pipe has closed it
                raise
            what = "A plug-in or function of yours"
            _end(f"{what} {exit_call(error)} ({located(error)}), which ended the run.", 2)
        except MemoryError:
            _end("Out of memory: lower the batch size or the number of workers.", 2)
        except Exception as error:
            if is_interrupt(error):
                stop()
            _end_of(error)
        if code == INTERRUPTED:  # typer's form of Ctrl-C
            stop()
        sys.exit(code if isinstance(code, int) else 0)


def _of_typer(error: SystemExit) -> bool:
    """Whether typer or its printing ended the process; we never do here, so anything else is users' code."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1].f_globals.get("__name__", "").partition(".")[0] in ("typer", "click", "rich")


def frame_class(verbs: dict[str, Verb]) -> type[Frame]:
    """A group class with these verbs, for ``typer.Typer(cls=…)``."""
    return type("RpoBench", (Frame,), {"verbs": verbs})


def _end_of(error: Exception) -> NoReturn:
    """Ends with the sentence of a usage or system error; anything else is a bug and shows a traceback."""
    if hasattr(error, "format_message"):
        _end(usage_sentence(error), 2)
    if isinstance(error, OSError) and error.errno in _USER_FIXABLE:
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror}.", 2)
    if (shadowed := shadowed_in(error)) is not None:
        _end(str(shadowed), 2)
    sys.stderr.write(f"{traceback.format_exc()}\n")
    _end(BUG, 1)


def usage_sentence(error: Any) -> str:
    """The problem with the command line, in one sentence."""
    message = " ".join(str(error.format_message()).split())
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    if hasattr(error, "possibilities") and hasattr(error, "option_name"):
        flags = [flag for p in context.command.params for flag in p.opts if flag.startswith("--")]
        hint = did_you_mean(error.option_name, flags)
        if "Did you mean" not in hint:  # listing all would fill the screen
            hint = f" See {context.command_path} --help."
        return f"Unknown flag {error.option_name}.{hint}"
    unknown = re.match(r"No such command '(.*?)'", message)
    if unknown:
        return f"Unknown verb '{unknown[1]}'.{did_you_mean(unknown[1], context.command.commands)}"
    message = message.rstrip(".") + _from_environment(context, getattr(error, "param", None))
    return message if message.endswith("?") else f"{message}."


def _from_environment(context: Any, parameter: Any) -> str:
    """The environment variable that a wrong value came from, if it wasn't the command line."""
    source = context.get_parameter_source(parameter.name) if parameter is not None else None
    if source is None or source.name != "ENVIRONMENT":
        return ""
    names = [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar
    name = next((name for name in names if name in os.environ), names[0])
    return f" ({name}={os.environ.get(name, '')})"


def _end(sentence: str, code: int) -> NoReturn:
    from rpo_bench.remote.urls import without_secrets

    # It may contain the user's input, or a library's text.
    sys.stderr.write(f"{bounded(without_secrets(sentence))}\n")
    sys.exit(code)
