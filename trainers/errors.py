"""The one exception that a user is meant to read, and how much of others' text a message may carry."""

LONGEST_MESSAGE = 1000  # characters


class UserError(Exception):
    """Something that the user can mend: one plain sentence naming the file, line or flag and what to do.

    The command line prints the sentence and exits with code 2; any other exception is a bug of ours. A
    sentence that others' text makes too long loses its middle: what to do stands at its end.
    """

    def __init__(self, *parts: object) -> None:
        super().__init__(*(bounded(part) if isinstance(part, str) else part for part in parts))


def bounded(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """The text, or its beginning and its end, with what is left out between them told."""
    if len(text) <= longest:
        return text
    end = longest // 3
    left_out = f" … ({len(text) - longest:,} characters left out) … "
    return f"{text[: longest - end]}{left_out}{text[len(text) - end :]}"
