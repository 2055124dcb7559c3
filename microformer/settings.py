"""One source for every setting: a dataclass field carries its default, its range and one line of help.

Presets (YAML), the command line and the page's widgets are all built from these fields, so a limit or a text
stands in one place only.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from microformer.errors import UserError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is known of one field: its name, type and default, and what a person is told and allowed.

    ``minimum`` and ``maximum`` are allowed values themselves; a value must be strictly greater than ``above``.
    ``type`` is ``bool``, ``int``, ``float`` or ``str``; ``optional`` says that ``None`` is allowed as well.
    """

    name: str
    type: type
    optional: bool
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    choices: tuple[str | int, ...] = ()
    unit: str = ""

    @property
    def allowed(self) -> str:
        """What this setting accepts, in words, for a message."""
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        kind = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[self.type]
        bounds = []
        if self.minimum is not None:
            bounds.append(f"at least {self.minimum:.10g}")
        if self.above is not None:
            bounds.append(f"more than {self.above:.10g}")
        if self.maximum is not None:
            bounds.append(f"at most {self.maximum:.10g}")
        return " ".join([kind, " and ".join(bounds)]).strip()


def setting(default: Any, help: str, **limits: Any) -> Any:
    """A dataclass field with its help and its limits (``minimum``, ``maximum``, ``above``, ``choices``, ``unit``)."""
    return dataclasses.field(default=default, metadata={"help": help, **limits})


def describe(cls: type) -> list[Setting]:
    """The settings of a dataclass in the order they are written."""
    hints = typing.get_type_hints(cls)
    described = []
    for field in dataclasses.fields(cls):
        if "help" not in field.metadata:
            continue
        kind, optional = _plain_type(hints[field.name])
        described.append(Setting(field.name, kind, optional, field.default, **field.metadata))
    return described


def check(settings: Any) -> None:
    """Raise ``UserError`` for the first value of a dataclass instance that is outside its limits."""
    for known in describe(type(settings)):
        _check_value(known, getattr(settings, known.name))


def from_dict(cls: type[T], values: Mapping[str, Any], *, where: str = "") -> T:
    """Build a settings dataclass from plain values, refusing unknown names and values of the wrong type.

    ``where`` is put before the name in messages (``training.``). Numbers written as text (``safe_load`` reads
    ``3e-4`` as a string) are accepted where a number is meant.
    """
    known = {one.name: one for one in describe(cls)}
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {close[0]}?" if close else "known are " + ", ".join(known) + "."
            raise UserError(f"There is no setting {where}{name}; {hint}")
    return cls(**{name: convert(known[name], value, where=where) for name, value in values.items()})


def convert(known: Setting, value: Any, *, where: str = "") -> Any:
    """``value`` as the setting's type, or ``UserError``. Does not look at the limits; ``check`` does."""
    if value is None and known.optional:
        return None
    try:
        if known.type is bool:
            if isinstance(value, bool):
                return value
            return {"true": True, "false": False}[str(value).lower()]
        if known.type is str:
            if not isinstance(value, str):
                raise ValueError
            return value
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
        if known.type is int:
            if not math.isfinite(number) or number != int(number):
                raise ValueError
            return int(value) if isinstance(value, int) else int(number)
        return number
    except (ValueError, TypeError, KeyError, OverflowError):
        raise UserError(f"{where}{known.name} is {value!r:.100}, but must be {known.allowed}.") from None


def _check_value(known: Setting, value: Any) -> None:
    if value is None:
        if known.optional:
            return
        raise UserError(f"{known.name} is missing; it must be {known.allowed}.")
    wrong = False
    if known.choices:
        wrong = value not in known.choices
    elif known.type in (int, float):
        kinds = int if known.type is int else (int, float)
        wrong = isinstance(value, bool) or not isinstance(value, kinds)
        wrong = wrong or (isinstance(value, float) and not math.isfinite(value))
        if not wrong:
            wrong = (
                (known.minimum is not None and value < known.minimum)
                or (known.maximum is not None and value > known.maximum)
                or (known.above is not None and value <= known.above)
            )
    if wrong:
        raise UserError(f"{known.name} is {value!r}, but must be {known.allowed}.")


def _plain_type(hint: Any) -> tuple[type, bool]:
    """``int | None`` -> ``(int, True)``; ``Literal`` is not used: choices stand in the metadata."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return kinds[0], True
    return hint, False
