"""Strengths by the names that papers give them: --tau, --beta, --k, --kl-coef beside --strengths."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from rpo_bench.cli.options import flag
from rpo_bench.errors import UserError
from rpo_bench.spec.parsing import parse_numbers
from rpo_bench.spec.schema import MethodSpec

#: What a flag stands for: the names of strengths. Others call the KL coefficient of online methods β.
_KNOBS = {"tau": ("tau",), "beta": ("beta", "kl_coef"), "k": ("k",), "kl_coef": ("kl_coef",)}


@dataclass(frozen=True)
class KnobFlags:
    """The strength of those methods that call it so."""

    tau: Annotated[str | None, flag("--tau", "The strength of methods that have τ.", hidden=True)] = None
    beta: Annotated[str | None, flag("--beta", "The strength of methods that have β.", hidden=True)] = None
    k: Annotated[str | None, flag("--k", "The strength of SFT.", hidden=True)] = None
    kl_coef: Annotated[
        str | None, flag("--kl-coef", "The strength of online methods.", aliases=("--kl-beta",), hidden=True)
    ] = None

    def strengths(
        self, methods: Sequence[MethodSpec], others: Mapping[str, object], flags: str = "--strengths"
    ) -> dict[str, list[float]]:
        """Strengths by method.

        Args:
            methods: those that run.
            others: what the general flag gave, which excludes these.
            flags: its name.

        Raises:
            UserError: no method has such a strength, or two flags say it.
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
                raise UserError(f"{_flag(knob)}: no method here has a strength of that name: {have}.")
            for label in fitting:
                if label in found:
                    raise UserError(f"--beta and --kl-coef are one for {label}: give one of them.")
                found[label] = parse_numbers(text, _flag(knob))
        return found


def _flag(knob: str) -> str:
    return f"--{knob.replace('_', '-')}" if knob in _KNOBS else f"--strengths ({knob})"
