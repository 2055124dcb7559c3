"""The one exception for what a user can cause; everything that shows messages to people knows only this type."""

import errno


class UserError(Exception):
    """Something a user asked for cannot be done.

    The message is one sentence a person can act on: what was wrong, with what value, and what to do.
    The command line prints it and exits with status 2; the page shows it as a notice.
    """


def of_the_machine(error: BaseException) -> str | None:
    """What is told of a file or an output that the machine refused, in its own words; ``None`` for other errors."""
    if isinstance(error, OSError) and (error.filename or error.errno == errno.ENOSPC):
        return f"{error.filename or 'The output'} cannot be used: {error.strerror}; choose another place."
    return None
