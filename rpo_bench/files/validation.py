"""JSON files as models, and the first error of a validation as part of a sentence."""

import json
import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rpo_bench.errors import UserError
from rpo_bench.files.plain_data import shown_name
from rpo_bench.files.reading import read_json

M = TypeVar("M", bound=BaseModel)


def read_model(file: Path, model: type[M], what: str) -> M | None:
    """What a JSON file holds, as a model; None where there is no file.

    Args:
        file: The file.
        model: What it should hold.
        what: How a message calls that: "judge card".

    Raises:
        UserError: It can't be read, or holds something else.
    """
    if not os.path.lexists(file):
        return None
    try:
        return model.model_validate_json(json.dumps(read_json(file)))
    except ValidationError as error:
        raise UserError(f"{file} is no {what}: {first_problem(error)}.") from error


def first_problem(error: ValidationError) -> str:
    """``field.name: what is wrong`` without a full stop; only the message if it concerns the whole value."""
    first = error.errors()[0]
    where = ".".join(map(shown_name, first["loc"]))
    what = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{where}: {what}" if where else what
