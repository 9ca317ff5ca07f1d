"""The flags that say what a user's columns are called; every verb that reads data has them."""

from dataclasses import dataclass, fields
from typing import Annotated, cast

from rpo_bench.cli.options import flag
from rpo_bench.data.columns import ColumnName

_PANEL = "Columns of your own"


@dataclass(frozen=True)
class ColumnFlags:
    """Which column is which."""

    prompt_column: Annotated[
        str | None, flag("--prompt-column", "What your data call 'prompt'.", _PANEL, metavar="NAME")
    ] = None
    response_column: Annotated[
        str | None, flag("--response-column", "What they call 'response'.", _PANEL, metavar="NAME")
    ] = None
    reward_column: Annotated[
        str | None, flag("--reward-column", "What they call 'reward'.", _PANEL, metavar="NAME")
    ] = None
    chosen_column: Annotated[
        str | None,
        flag("--chosen-column", "Of preference pairs: the better response.", _PANEL, metavar="NAME"),
    ] = None
    rejected_column: Annotated[
        str | None, flag("--rejected-column", "Of preference pairs: the other one.", _PANEL, metavar="NAME")
    ] = None
    label_column: Annotated[
        str | None, flag("--label-column", "Desirable or not, in place of a reward.", _PANEL, metavar="NAME")
    ] = None
    messages_column: Annotated[
        str | None, flag("--messages-column", "A whole conversation.", _PANEL, metavar="NAME")
    ] = None

    @property
    def columns(self) -> dict[ColumnName, str]:
        """Our name of a column → the user's, where one was named."""
        given = {one.name.removesuffix("_column"): getattr(self, one.name) for one in fields(ColumnFlags)}
        return {cast(ColumnName, name): theirs for name, theirs in given.items() if theirs is not None}
