"""The one exception for what a user can cause; everything that shows messages to people knows only this type."""


class UserError(Exception):
    """Something a user asked for cannot be done.

    The message is one sentence a person can act on: what was wrong, with what value, and what to do.
    The command line prints it and exits with status 2; the page shows it as a notice.
    """
