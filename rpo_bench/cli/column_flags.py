"""The flags that name a user's columns; every verb that reads data has them."""

from dataclasses import dataclass, fields
from typing import Annotated, cast

from rpo_bench.cli.options import flag
from rpo_bench.data.columns import ColumnName

_PANEL = "Your columns"


@dataclass(frozen=True)
class ColumnFlags:
    """Column names of the user's data."""

    prompt_column: Annotated[
        str | None, flag("--prompt-column", "Name of your prompt column.", _PANEL, metavar="NAME")
    ] = None
    response_column: Annotated[
        str | None, flag("--response-column", "Name of your response column.", _PANEL, metavar="NAME")
    ] = None
    reward_column: Annotated[
        str | None, flag("--reward-column", "Name of your reward column.", _PANEL, metavar="NAME")
    ] = None
    chosen_column: Annotated[
        str | None,
        flag("--chosen-column", "Preference pairs: column of the better response.", _PANEL, metavar="NAME"),
    ] = None
    rejected_column: Annotated[
        str | None,
        flag("--rejected-column", "Preference pairs: column of the worse response.", _PANEL, metavar="NAME"),
    ] = None
    label_column: Annotated[
        str | None,
        flag(
            "--label-column",
            "Column of binary labels (desirable or not), instead of a reward.",
            _PANEL,
            metavar="NAME",
        ),
    ] = None
    messages_column: Annotated[
        str | None, flag("--messages-column", "Column of whole conversations.", _PANEL, metavar="NAME")
    ] = None

    @property
    def columns(self) -> dict[ColumnName, str]:
        """Our column name → the user's, for the columns that were named."""
        given = {one.name.removesuffix("_column"): getattr(self, one.name) for one in fields(ColumnFlags)}
        return {cast(ColumnName, name): theirs for name, theirs in given.items() if theirs is not None}
