"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Something that the user can mend: one plain sentence naming the file, line or flag and what to do.

    The command line prints the sentence and exits with code 2; any other exception is a bug of ours.
    """
