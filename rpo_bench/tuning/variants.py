"""Option variants for tuning: ``ppo(inner_epochs=1|4)`` is one method, tuned over both."""

from collections.abc import Iterable, Sequence
from itertools import product

from rpo_bench.errors import UserError
from rpo_bench.spec.sections import MethodSpec

_OR = "|"


def variants_of(method: MethodSpec) -> tuple[MethodSpec, ...]:
    """The method with each combination of its options' values; itself without alternatives."""
    names = list(method.options)
    values = [_values(value) for value in method.options.values()]
    return tuple(
        method.model_copy(update={"options": dict(zip(names, chosen, strict=True))})
        for chosen in product(*values)
    )


def checked_variants(methods: Iterable[MethodSpec], rates: int) -> list[tuple[MethodSpec, ...]]:
    """The variants of every method, which share its learning rates equally.

    Raises:
        UserError: a method has more variants than it has learning rates.
    """
    found = [variants_of(method) for method in methods]
    for variants in found:
        if len(variants) > rates:
            raise UserError(
                f"{variants[0].name} has {len(variants)} variants, which share its {rates} learning rates: "
                f"give fewer, or --rates {len(variants)} for all methods."
            )
    return found


def _values(value: object) -> Sequence[object]:
    return [part.strip() for part in value.split(_OR)] if isinstance(value, str) else [value]
