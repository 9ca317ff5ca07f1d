"""Builds the spec of a run from flags, over a preset and a file."""

from collections.abc import Mapping, Sequence
from typing import Any

from rpo_bench.cli.knobs import KnobFlags
from rpo_bench.cli.measuring_flags import EvaluationFlags
from rpo_bench.cli.run_flags import DataFlags, TrainingFlags
from rpo_bench.errors import UserError
from rpo_bench.spec.parsing import (
    parse_budgets,
    parse_methods,
    parse_seeds,
    parse_strengths,
    parse_sweep,
    split_list,
)
from rpo_bench.spec.presets import layers_of, merged, spec_over
from rpo_bench.spec.schema import RunSpec

__all__ = ["build_spec", "layers_of"]


#: Flags of the matrix whose text is parsed here.
TEXTS = ("methods", "strengths", "seeds", "models", "sweep", "budgets")


def build_spec(
    layers: Sequence[Mapping[str, Any]],
    matrix: Mapping[str, str | None],
    data: DataFlags,
    training: TrainingFlags,
    evaluation: EvaluationFlags,
    further: Mapping[str, Any] | None = None,
    knobs: KnobFlags | None = None,
) -> RunSpec:
    """The spec from flags over ``layers``.

    Args:
        layers: a preset, and a file over it.
        matrix: the text of some of the flags in ``TEXTS``, where given.
        data: flags.
        training: flags.
        evaluation: flags.
        further: fields of RunSpec that other flags change.
        knobs: strengths by their own names.

    Raises:
        UserError: names the flag or field that is wrong.
    """
    decoding = merged(layers).get("evaluation", {}).get("decoding", {})
    if matrix.get("sweep") is not None and training.learning_rate is not None:
        raise UserError("--sweep and --learning-rate both set the learning rate: give one of them.")
    if data.task is not None and "," in data.task:
        raise UserError(f"--task {data.task}: one task per run; run the command once for each.")
    changes = {
        "data": data.changes(),
        "training": training.changes(),
        "evaluation": evaluation.changes(decoding),
        **_matrix(matrix),
        **({} if data.task is None else {"task": data.task}),
        **(further or {}),
    }
    spec = spec_over(layers, changes)
    strengths = {} if knobs is None else knobs.strengths(spec.methods, changes.get("strengths", {}))
    return spec_over(layers, {**changes, "strengths": strengths}) if strengths else spec


def _matrix(matrix: Mapping[str, str | None]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (methods := matrix.get("methods")) is not None:
        found["methods"] = [method.model_dump() for method in parse_methods(methods)]
    if (strengths := matrix.get("strengths")) is not None:
        found["strengths"] = parse_strengths(strengths)
    if (seeds := matrix.get("seeds")) is not None:
        found["seeds"] = parse_seeds(seeds)
    if (sweep := matrix.get("sweep")) is not None:
        found["learning_rates"] = parse_sweep(sweep)
    if (budgets := matrix.get("budgets")) is not None:
        found["budgets"] = parse_budgets(budgets)
    if (models := matrix.get("models")) is not None:
        found["models"] = split_list(models)
    return found
