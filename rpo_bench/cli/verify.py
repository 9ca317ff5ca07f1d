"""``rpo-bench verify``: does an objective converge to a known optimum?"""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.console import err, out, print_exact, print_json, print_table
from rpo_bench.cli.knobs import KnobFlags
from rpo_bench.cli.options import with_flags
from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.files.plain_data import MAX_SEED

if TYPE_CHECKING:
    from rpo_bench.spec.sections import MethodSpec
    from rpo_bench.tabular.kept import Kept
    from rpo_bench.tabular.truth import Condition
    from rpo_bench.tabular.verify import Questions, Verification
    from trainers.objective import OfflineMethod
    from trainers.online import OnlineMethod


class Format(StrEnum):
    """Output format."""

    text = "text"
    markdown = "markdown"
    json = "json"


@with_flags
def verify(
    methods: Annotated[
        str, typer.Argument(metavar="METHODS", help='"all", or e.g. "rpo,rpo(partition=leave_one_out)".')
    ],
    strengths: Annotated[
        str | None,
        typer.Option(
            "--strengths", help='"1,0.5", or "rpo=1,0.5;dpo=0.5"; by default three of the method\'s own.'
        ),
    ] = None,
    ks: Annotated[
        str, typer.Option("--ks", help="Responses per prompt; K → ∞ is always included.")
    ] = "1,2,4,16",
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=MAX_SEED, help="Seed of the problem and its data.")
    ] = 0,
    noise: Annotated[
        float | None,
        typer.Option(
            "--noise",
            min=0.0,
            help="Scale of Gumbel noise in the observed rewards; 0 by default, 1 for DPO and IPO, which then "
            "see Bradley–Terry preferences.",
        ),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="Output format; --json is short for json.")
    ] = Format.text,
    *,
    knobs: KnobFlags,
) -> None:
    """Train methods on a tabular problem, and check whether they converge to the optimum.

    Policies are tables of probabilities over 24 responses to each of 3 prompts, so the optimum is known. The
    loss is the method's own; online methods learn from rollouts of the table. Exits with 1 if a method's
    gradient differs from the one that it declares.
    """
    from rpo_bench.spec.parsing import parse_methods

    chosen = _all() if methods.strip() == "all" else parse_methods(methods)
    resolved = [(spec, _resolved(spec)) for spec in chosen]
    by_name = _strengths([spec for spec, _ in resolved], strengths, knobs)
    plans = _questions([spec for spec, _ in resolved], by_name, _whole_numbers(ks), seed, noise)
    kept = _kept(resolved, plans)
    found = []
    for number, ((spec, method), questions) in enumerate(zip(resolved, plans, strict=True)):
        earlier = kept.read(number)
        found.append(earlier or _verified(spec, method, questions))
        kept.write(number, found[-1])
        if form is not Format.json:
            _show(found[-1], form)
    if form is Format.json:
        from rpo_bench.tabular.report import as_dict

        print_json([as_dict(one) for one in found])
    kept.done(len(found))
    if any(not (one.contract.coefficient_holds and one.contract.split_holds) for one in found):
        raise typer.Exit(1)


def _kept(
    methods: "list[tuple[MethodSpec, OfflineMethod | OnlineMethod]]", plans: "list[Questions]"
) -> "Kept":
    """The cache of results until the command is done; a plug-in's code is part of its key."""
    from rpo_bench.engine.inputs.choices import source_of
    from rpo_bench.methods import METHODS
    from rpo_bench.tabular.kept import Kept

    sources = [source_of(METHODS.get(spec.name), method) for spec, method in methods]
    return Kept.of([repr(one) for one in (methods, plans, sources)])


def _all() -> "list[MethodSpec]":
    from rpo_bench.methods import METHODS
    from rpo_bench.spec.sections import MethodSpec

    return [MethodSpec(name=name) for name in METHODS]


def _resolved(spec: "MethodSpec") -> "OfflineMethod | OnlineMethod":
    from rpo_bench.methods.registry import resolve_method
    from trainers.objective import OfflineMethod
    from trainers.online import OnlineMethod

    method = resolve_method(spec)
    if not isinstance(method, OfflineMethod | OnlineMethod):
        raise UserError(f"The method '{spec.name}' is neither an OfflineMethod nor an OnlineMethod.")
    return method


def _strengths(specs: "list[MethodSpec]", strengths: str | None, knobs: KnobFlags) -> dict[str, list[float]]:
    """Strengths by method, from --strengths or from flags such as --tau."""
    from rpo_bench.spec.parsing import parse_strengths

    by_name = {} if strengths is None else parse_strengths(strengths)
    by_name |= {label.partition("(")[0]: v for label, v in knobs.strengths(specs, by_name).items()}
    known = {spec.name for spec in specs} | {"*"}
    for name in by_name:
        if name not in known:
            raise UserError(
                f"--strengths names '{name}', which isn't among the methods.{did_you_mean(name, known)}"
            )
    for values in by_name.values():
        if min(values) <= 0:
            raise UserError(f"--strengths: {min(values):g} is not a strength: strengths are positive.")
    return by_name


def _questions(
    specs: "list[MethodSpec]",
    by_name: dict[str, list[float]],
    ks: tuple[int, ...],
    seed: int,
    noise: float | None,
) -> "list[Questions]":
    """The conditions of each method."""
    from rpo_bench.tabular.verify import Questions

    chosen = [by_name.get(spec.name, by_name.get("*")) for spec in specs]
    return [Questions(None if own is None else tuple(own), ks, seed, noise) for own in chosen]


def _whole_numbers(text: str) -> tuple[int, ...]:
    from rpo_bench.spec.parsing import split_list

    parts = split_list(text)
    if not parts or not all(part.isdecimal() and 0 < int(part) <= 512 for part in parts):
        raise UserError(f"--ks '{text}' is not a list of numbers from 1 to 512, such as 1,2,4,16.")
    return tuple(map(int, parts))


def _verified(
    spec: "MethodSpec", method: "OfflineMethod | OnlineMethod", questions: "Questions"
) -> "Verification":
    import torch
    from rich.text import Text

    from rpo_bench.tabular.rollouts import verify_online
    from rpo_bench.tabular.verify import verify as verified
    from trainers.online import OnlineMethod

    torch.set_num_threads(1)  # the tables are small: more threads are slower
    with err().status(Text(f"verify {spec.label} …")) as status:

        def progress(condition: "Condition") -> None:
            where = f"{condition.data}, {method.strength_name} {condition.strength:g}, K {condition.k}"
            status.update(Text(f"verify {spec.label}: {where} …"))

        if isinstance(method, OnlineMethod):
            return verify_online(spec.label, method, questions, progress)
        return verified(spec.label, method, questions, progress)


def _show(found: "Verification", form: Format) -> None:
    from rpo_bench.tabular.report import heading, markdown, notes, table

    if form is Format.markdown:
        print_exact(markdown(found) + "\n")
        return
    console = out()
    console.print(heading(found), style="bold")
    columns, rows = table(found)
    print_table("", columns, rows)
    for note in notes(found):
        console.print(note)
    console.print()
