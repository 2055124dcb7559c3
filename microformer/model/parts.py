"""Parts that a configuration names: the program's, and those that you register from Python.

A configuration holds names only, never a place to import from: nothing the program reads can run code.
"""

from typing import Any

from microformer.errors import UserError

STANDARD = "standard"

_parts: dict[str, dict[str, type]] = {"attention": {}, "feed_forward": {}}


def register(what: str, name: str, part: type) -> None:
    """Let configurations name your own part: ``register("attention", "mine", MyAttention)``.

    *Attention* is made with ``(config, layer)`` and called with ``(hidden, places, cache)``: it must look at no more
    than ``places`` allows, and puts its keys and values into ``cache`` (a ``KVCache``, or ``None``). *Feed-forward* is
    made with ``(config)`` and called with ``(hidden)``. Both are ``nn.Module`` and map (batch, seq, d_model) to the
    same. A name that is registered again means the later part from then on, as when a notebook's cell is run again.
    """
    if what not in _parts:
        raise UserError(f"There is no part {what}; known are {', '.join(_parts)}.")
    if name == STANDARD:
        raise UserError(f"The name {name} is that of the program's own part; choose another one.")
    _parts[what][name] = part


def check_known(what: str, name: str) -> None:
    """Raise ``UserError`` when no part of this name is there."""
    if name != STANDARD and name not in _parts[what]:
        known = ", ".join(sorted({STANDARD, *_parts[what]}))
        raise UserError(
            f"{what} is {name!r}, but known are {known}; a part of your own must be registered from Python first."
        )


def part(what: str, name: str, standard: type) -> Any:
    """The class that ``name`` stands for; ``standard`` is the program's own."""
    check_known(what, name)
    return standard if name == STANDARD else _parts[what][name]
