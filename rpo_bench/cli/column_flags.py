"""The flags that say what a user's columns are called; every verb that reads data has them."""

from dataclasses import dataclass, fields
from typing import Annotated, cast

from rpo_bench.cli.spec_flags import spec_flag
from rpo_bench.data.columns import ColumnName


@dataclass(frozen=True)
class ColumnFlags:
    """Which column is which."""

    prompt_column: Annotated[str | None, spec_flag("--prompt-column")] = None
    response_column: Annotated[str | None, spec_flag("--response-column")] = None
    reward_column: Annotated[str | None, spec_flag("--reward-column")] = None
    chosen_column: Annotated[str | None, spec_flag("--chosen-column")] = None
    rejected_column: Annotated[str | None, spec_flag("--rejected-column")] = None
    label_column: Annotated[str | None, spec_flag("--label-column")] = None
    messages_column: Annotated[str | None, spec_flag("--messages-column")] = None

    @property
    def columns(self) -> dict[ColumnName, str]:
        """Our name of a column → the user's, where one was named."""
        given = {one.name.removesuffix("_column"): getattr(self, one.name) for one in fields(ColumnFlags)}
        return {cast(ColumnName, name): theirs for name, theirs in given.items() if theirs is not None}
