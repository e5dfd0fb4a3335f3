"""The one error that a command shows without a traceback."""


class UserError(Exception):
    """Something that the user can mend: the message names the bad value and the cure."""
