"""What a validation complains of first, as a sentence's part."""

from pydantic import ValidationError

from rpo_bench.files.plain_data import shown_name


def first_problem(error: ValidationError) -> str:
    """``field.name: what is wrong``, without a full stop; the message alone where all of it is wrong."""
    first = error.errors()[0]
    where = ".".join(map(shown_name, first["loc"]))
    what = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{where}: {what}" if where else what
