"""``rpo-bench methods``: the list of training methods, and the details of one."""

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from rpo_bench.cli.console import err, out, print_facts, print_table, say
from rpo_bench.errors import UserError, located

app = typer.Typer(help="List the training methods, or show one.")
_ATTRIBUTES = "\n\nAttributes:\n"

COLUMNS = ("method", "data", "prompts", "responses", "gradient coefficient", "strength", "paper")


@app.callback(invoke_without_command=True)
def methods(context: typer.Context) -> None:
    """List the training methods, or show one.

    A method's gradient is the sum over its prompts and responses of GC · ∇log π. The columns show the
    prompts, the responses, and the gradient coefficient GC.
    """
    if context.invoked_subcommand is not None:
        return
    from rpo_bench.methods.registry import METHODS, default_method

    rows = []
    for name in METHODS:
        try:
            rows.append(_line(name, default_method(name)))
        except UserError as error:  # a broken package is reported and doesn't affect the others
            err().print(str(error), style="yellow")
    print_table("", COLUMNS, rows)
    out().print("\nrpo-bench methods show NAME prints one in detail.", style="dim")


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help='A name from the list, optionally with options: "rpo(tau=0.2)".'),
    ],
    svg: Annotated[
        Path | None,
        typer.Option(
            "--svg", help="Also write a plot of the gradient coefficient to this SVG file.", metavar="FILE"
        ),
    ] = None,
) -> None:
    """Show a method's equation, options, paper and deviations, and its gradient coefficient."""
    method = _named(name)
    summary, notes, options = _documented(method)
    scaled = getattr(method, "zscore_rewards", False)  # online methods use them unscaled
    console = out()
    console.print(f"{name}: {method.title}", style="bold")
    facts = {
        "equation": method.equation,
        "paper": method.paper,
        "prompts": method.chosen_axes.prompts,
        "responses": method.chosen_axes.responses,
        "gradient coefficient": method.chosen_axes.coefficient,
        "data": _needs(method),
        "rewards": "z-scored over the training rows" if scaled else "unscaled",
        "strength": f"{method.strength_name} ({', '.join(f'{s:g}' for s in method.default_strengths)})",
        "learning rate": f"{method.default_learning_rate:g}",
    }
    console.print()
    print_facts(facts)
    console.print()
    rows = [
        (field.name, str(getattr(method, field.name)), options.get(field.name, ""))
        for field in dataclasses.fields(method)
    ]
    print_table("Options", ("name", "default", "meaning"), rows)
    for text in (summary, *notes):
        console.print(f"\n{text}")
    _plot(name, method, svg)


def _named(text: str) -> Any:
    """The method for NAME or NAME(option=value)."""
    from rpo_bench.methods.registry import default_method, resolve_method
    from rpo_bench.spec.parsing import parse_methods

    if "(" not in text:
        return default_method(text)
    specs = parse_methods(text)
    if len(specs) > 1:
        raise UserError(f"'{text}' names {len(specs)} methods; show takes one.")
    return resolve_method(specs[0])


def _plot(name: str, method: Any, svg: Path | None) -> None:
    """The gradient coefficient over reward and log-ratio."""
    from rpo_bench.cli.coefficient_plot import print_map, svg_of
    from rpo_bench.methods.coefficients import coefficient_map, online_coefficient_map
    from trainers.online import OnlineMethod

    try:
        online = isinstance(method, OnlineMethod)
        found = online_coefficient_map(method) if online else coefficient_map(method)
    except Exception as error:
        raise UserError(f"Method '{name}': its coefficient failed: {located(error)}.") from error
    out().print()
    print_map(out(), found)
    if svg is not None:
        svg.write_text(svg_of(f"{name}: {method.title}", found), encoding="utf-8")
        say(f"Wrote {svg}.")


def _line(name: str, method: Any) -> tuple[str, ...]:
    axes = method.chosen_axes
    strength = f"{method.strength_name} = {method.strength:g}"
    return (name, _needs(method), axes.prompts, axes.responses, axes.coefficient, strength, method.paper)


def _needs(method: Any) -> str:
    return ", ".join(sorted(need.value for need in method.needs)) or "responses only"


def _documented(method: Any) -> tuple[str, list[str], dict[str, str]]:
    """The docstring's first line, its other paragraphs, and the options' texts, inherited ones included."""
    text, _, _ = (inspect.getdoc(type(method)) or "").partition(_ATTRIBUTES)
    summary, *notes = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    options: dict[str, str] = {}
    for base in reversed(type(method).__mro__):
        _, _, attributes = (inspect.cleandoc(base.__doc__ or "")).partition(_ATTRIBUTES)
        described = re.findall(r"^    (\w+): (.+?)(?=^    \w|\Z)", attributes, flags=re.MULTILINE | re.DOTALL)
        options |= {name: " ".join(meaning.split()) for name, meaning in described}
    return summary, notes, options
