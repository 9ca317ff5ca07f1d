"""The exception with a message for users, and the limit on text from outside in messages."""

LONGEST_MESSAGE = 1000  # characters


class UserError(Exception):
    """An error that the user can fix: one plain sentence with the file, line or flag and what to do.

    The command line prints the sentence and exits with code 2; any other exception is a bug. A sentence made
    too long by text from outside loses its middle, since the advice is at its end.
    """

    def __init__(self, *parts: object) -> None:
        super().__init__(*(bounded(part) if isinstance(part, str) else part for part in parts))


class NothingToLearnError(UserError):
    """Rows that a method learns nothing from, such as pairs whose rewards are all equal."""


def bounded(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """The text, or its beginning and end with the number of omitted characters between them."""
    if len(text) <= longest:
        return text
    end = longest // 3
    left_out = f" … ({len(text) - longest:,} characters left out) … "
    return f"{text[: longest - end]}{left_out}{text[len(text) - end :]}"
