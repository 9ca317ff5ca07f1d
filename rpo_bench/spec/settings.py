"""The bases of all specs and records, and the kinds of values that their fields share."""

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from rpo_bench.files.plain_data import MAX_SEED, plain_problem, values_in

MAX_NAME = 1000  # characters
Name = Annotated[str, Field(max_length=MAX_NAME)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Strength = Annotated[float, Field(gt=0)]


class Frozen(BaseModel):
    """The base of all records: immutable, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(Frozen):
    """The base of all specs: settings from the command line, files or Python.

    Numbers are finite and fit into 64 bits, texts are Unicode without NUL, and true and false aren't numbers.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any, info: ValidationInfo) -> Any:
        nested, takes_switch = _kinds(cls, str(info.field_name))
        if nested:  # its own fields are checked separately
            return value
        if (problem := plain_problem(value)) is not None:
            raise ValueError(problem)
        if not takes_switch and any(isinstance(item, bool) for item in values_in(value)):
            raise ValueError("true and false aren't numbers or texts")
        return value


@cache
def _kinds(model: type[Settings], field: str) -> tuple[bool, bool]:
    """Whether a field has nested settings, and whether it accepts true and false."""
    kinds = list(_mentioned(model.model_fields[field].annotation))
    nested = any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds)
    return nested, bool in kinds or Any in kinds


def _mentioned(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _mentioned(part)
