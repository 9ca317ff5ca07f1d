"""Strengths by their names in papers: --tau, --beta, --k, --kl-coef beside --strengths."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from rpo_bench.cli.options import flag
from rpo_bench.errors import UserError
from rpo_bench.spec.parsing import parse_numbers
from rpo_bench.spec.sections import MethodSpec

#: Flag → names of strengths. Some papers call the KL coefficient of online methods β.
_KNOBS = {"tau": ("tau",), "beta": ("beta", "kl_coef"), "k": ("k",), "kl_coef": ("kl_coef",)}


@dataclass(frozen=True)
class KnobFlags:
    """Strengths by name."""

    tau: Annotated[str | None, flag("--tau", "Strengths of methods with τ.", hidden=True)] = None
    beta: Annotated[str | None, flag("--beta", "Strengths of methods with β.", hidden=True)] = None
    k: Annotated[str | None, flag("--k", "Strengths of SFT.", hidden=True)] = None
    kl_coef: Annotated[
        str | None, flag("--kl-coef", "Strengths of online methods.", aliases=("--kl-beta",), hidden=True)
    ] = None

    def strengths(
        self, methods: Sequence[MethodSpec], others: Mapping[str, object], flags: str = "--strengths"
    ) -> dict[str, list[float]]:
        """Strengths by method.

        Args:
            methods: the methods of the run.
            others: strengths from the general flag, which excludes these.
            flags: the general flag's name.

        Raises:
            UserError: no method has such a strength, or two flags give it.
        """
        from rpo_bench.methods.registry import resolve_method

        given = {name: text for name in _KNOBS if (text := getattr(self, name)) is not None}
        if given and others:
            raise UserError(f"{flags} and {_flag(next(iter(given)))} both give strengths: use one of them.")
        found: dict[str, list[float]] = {}
        names = {one.label: resolve_method(one).strength_name for one in methods} if given else {}
        for knob, text in given.items():
            fitting = [label for label, name in names.items() if name in _KNOBS[knob]]
            if not fitting:
                have = "; ".join(f"that of {label} is {_flag(name)}" for label, name in names.items())
                raise UserError(f"{_flag(knob)}: none of the methods has this strength: {have}.")
            for label in fitting:
                if label in found:
                    raise UserError(f"--beta and --kl-coef mean the same for {label}: give one of them.")
                found[label] = parse_numbers(text, _flag(knob))
        return found


def _flag(knob: str) -> str:
    return f"--{knob.replace('_', '-')}" if knob in _KNOBS else f"--strengths ({knob})"
