"""Parts of a model chosen by patterns of their names, as in a shell: ``blocks.0.*``, ``*.long_term.*``."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from microformer.errors import UserError


def split(patterns: str) -> list[str]:
    """The patterns of a text with commas between them."""
    return [one.strip() for one in patterns.split(",") if one.strip()]


def matching(patterns: str, names: Iterable[str], *, setting: str) -> set[str]:
    """The names that the patterns choose: the last one that fits a name counts, and one after ``!`` lets it go again.

    Raises ``UserError``, naming the ``setting``, for a pattern that no name fits.
    """
    known, chosen = list(names), set[str]()
    for pattern in split(patterns):
        fits = {name for name in known if fnmatchcase(name, pattern.removeprefix("!"))}
        if not fits:
            raise UserError(
                f"{setting} has the pattern {pattern}, but nothing in this model has such a name; "
                f"there is {known[0]}, for example."
            )
        chosen = chosen - fits if pattern.startswith("!") else chosen | fits
    return chosen
