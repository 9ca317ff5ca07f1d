"""Flags that set fields of a spec: as options of a verb, and as what they change over a preset and a file."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, get_type_hints

from rpo_bench.cli.knobs import KnobFlags
from rpo_bench.cli.options import flag, flag_name
from rpo_bench.errors import UserError
from rpo_bench.spec.flags import BY_FLAG, SPEC_FLAGS, SpecFlag, set_at, value_at
from rpo_bench.spec.presets import merged, spec_over, with_decoding
from rpo_bench.spec.schema import RunSpec

_PANELS = {
    "task": "Task and data", "data": "Task and data", "training": "Training", "evaluation": "Evaluation",
    "generation": "Evaluation", "loading": "Models", "prompt_format": "Models", "system_prompt": "Models",
}  # fmt: skip
_COLUMNS = "Columns of your own"


def spec_flag(name: str) -> Any:
    """The option of a flag in the table of ``spec.flags``."""
    row = BY_FLAG[name]
    panel = _PANELS.get(row.field.partition(".")[0], "What to run")
    panel = _COLUMNS if row.field.startswith("data.columns.") else panel
    more = {} if row.metavar is None else {"metavar": row.metavar}
    return flag(name, row.help, panel, row.aliases, **row.bounds, **more)


def spec_changes(*groups: Any) -> dict[str, Any]:
    """The fields of RunSpec that groups of flags set, nested as in a spec file.

    A group may have flags that are no field by themselves, and a method ``further`` that says what they set.

    Raises:
        UserError: names the flag whose text can't be read, or two that exclude each other.
    """
    found: dict[str, Any] = {}
    for group in groups:
        hints = get_type_hints(type(group), include_extras=True)
        for one in fields(group):
            row = BY_FLAG.get(flag_name(hints[one.name]) or "")
            value = getattr(group, one.name)
            if row is None or value is None or value is False:
                continue
            if row.switch is not None:
                value = row.switch
                _check_alone(row, value_at(found, row.field))
            set_at(found, row.field, value if row.parse is None else row.parse(value))
        if hasattr(group, "further"):
            found = merged([found, group.further()])
    return found


def _check_alone(row: SpecFlag, already: Any) -> None:
    """Refuses two switches of one field."""
    for other in SPEC_FLAGS:
        if already is not None and (other.field, other.switch) == (row.field, already):
            raise UserError(f"{other.flag} and {row.flag} exclude each other: give one of them.")


def build_spec(
    layers: Sequence[Mapping[str, Any]], changes: Mapping[str, Any], knobs: KnobFlags | None = None
) -> RunSpec:
    """The spec that flags over ``layers`` ask for.

    Args:
        layers: a preset, and a file over it.
        changes: what flags set: of ``spec_changes``; the decoding as the text of --gen-kwargs.
        knobs: strengths by their own names.

    Raises:
        UserError: names the flag or field that is wrong.
    """
    task = changes.get("task")
    if "learning_rates" in changes and value_at(changes, "training.learning_rate") is not None:
        raise UserError("--sweep and --learning-rate both set the learning rate: give one of them.")
    if task is not None and "," in task:
        raise UserError(f"--task {task}: one task per run; run the command once for each.")
    changes = with_decoding(changes, merged(layers))
    spec = spec_over(layers, changes)
    strengths = {} if knobs is None else knobs.strengths(spec.methods, changes.get("strengths", {}))
    return spec_over(layers, {**changes, "strengths": strengths}) if strengths else spec
