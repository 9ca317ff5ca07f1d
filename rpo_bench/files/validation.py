"""The first error of a validation, as part of a sentence."""

from pydantic import ValidationError

from rpo_bench.files.plain_data import shown_name


def first_problem(error: ValidationError) -> str:
    """``field.name: what is wrong`` without a full stop; only the message if it concerns the whole value."""
    first = error.errors()[0]
    where = ".".join(map(shown_name, first["loc"]))
    what = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{where}: {what}" if where else what
