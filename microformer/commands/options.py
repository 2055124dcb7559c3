"""Flags made from settings dataclasses, and the options that several commands share.

A flag that was not given is absent from the parsed values, so that what a person typed can be told from a default.
"""

import argparse
import difflib
import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from jsonargparse import ArgumentParser

from microformer.errors import UserError
from microformer.settings import Setting, convert, describe

EMPTY = ("null", "none", "")  # how "no value" is written on the command line, where a setting may be empty
PLACES = {"DIR", "FILE", "FILE.zip", "OUT", "PATH", "RUN", "SESSION", "SOURCE"}  # metavars of files and folders
METAVARS = {int: "N", float: "X", bool: "true|false", str: "TEXT"}


class Parser(ArgumentParser):
    """A parser whose complaints are ``UserError`` sentences."""

    def __init__(self, command: str, description: str, usage: str | None = None) -> None:
        self.command = command
        super().__init__(
            prog=f"python -m microformer {command}",
            description=description,
            usage=usage and f"python -m microformer {command} {usage}",
            exit_on_error=False,
            allow_abbrev=False,
            formatter_class=argparse.HelpFormatter,
            default_env=False,
        )

    def error(self, message: str, ex: Exception | None = None) -> Any:
        if isinstance(ex, UserError):
            raise ex
        sentence = self._sentence(message.strip().rstrip("."))
        see = " See" if sentence.endswith("?") else "; see"
        raise UserError(f"{sentence}{see} python -m microformer {self.command} --help.")

    def _sentence(self, message: str) -> str:
        """The library's complaint in the words of this program."""
        flags = {action.dest: (action.option_strings or [str(action.metavar)])[0] for action in self._actions}
        kind, _, rest = message.partition(": ")
        if kind == "unrecognized arguments":
            word = rest.split()[0].partition("=")[0]
            ending = f".{word.lstrip('-').replace('-', '_')}"  # a setting without the part that it belongs to
            close = [flag for flag in flags.values() if flag.endswith(ending)]
            close = close or difflib.get_close_matches(word, flags.values(), n=1)
            name = f"option {word}" if word.startswith("-") else f"place for the word {word!r}"
            return f"There is no {name}" + (f", did you mean {close[0]}?" if close else "")
        if kind == "the following arguments are required":
            missing = [flags.get(name, name) for name in rest.split(", ")]
            return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        if kind.startswith("argument "):
            return f"{kind.removeprefix('argument ')}: {rest}"
        return f"{message[:1].upper()}{message[1:]}"

    def values(self, words: list[str]) -> dict[str, Any]:
        """What ``words`` give, by name. Raises ``UserError``.

        A place without a name, as an unset variable of a shell leaves, would mean the folder one happens to be in.
        """
        found: dict[str, Any] = self.parse_args(words).as_dict()
        for action in self._actions:
            given = found.get(action.dest)
            if PLACES & set(str(action.metavar).split("|")) and "" in (given if isinstance(given, list) else [given]):
                self.error(f"{next(iter(action.option_strings), action.metavar)} is empty, but must name a place")
        return found

    def option(self, *names: str, **details: Any) -> None:
        """Add an option that is absent from the parsed values unless it was given, or ``default`` says otherwise."""
        details.setdefault("default", argparse.SUPPRESS)
        self.add_argument(*names, **details)


def add_settings(parser: Parser, cls: type, *, prefix: str = "", leave_out: Collection[str] = ()) -> None:
    """A flag for each setting: ``--training.max_steps`` with a prefix, ``--max-tokens`` without one."""
    for known in describe(cls):
        if known.name not in leave_out:
            parser.option(_flag(known, prefix), type=str, metavar=_metavar(known), help=_help(known, prefix))


def given_settings(values: Mapping[str, Any], cls: type, *, prefix: str = "") -> dict[str, Any]:
    """The settings of ``cls`` that were given as flags, converted to their types. Raises ``UserError``."""
    texts = values.get(prefix.rstrip("."), {}) if prefix else values
    found = {}
    for known in describe(cls):
        if known.name in texts:
            text = texts[known.name]
            empty = known.optional and isinstance(text, str) and text.strip().lower() in EMPTY
            found[known.name] = None if empty else convert(replace(known, name=_flag(known, prefix)), text)
    return found


def add_json(parser: Parser, what: str) -> None:
    """``--json``: only JSON goes to standard output."""
    parser.add_argument("--json", action="store_true", help=f"Print {what} as JSON.")


def whole_number(text: str, name: str, *, minimum: int | None = None, maximum: int | None = None) -> int:
    """``text`` as a whole number from ``minimum`` to ``maximum``, or ``UserError``."""
    return int(convert_number(Setting(name, int, False, None, "", minimum=minimum, maximum=maximum), text))


def convert_number(known: Setting, text: Any) -> float:
    """``text`` as a number within the limits of ``known``, or ``UserError``."""
    number = float(convert(known, text))
    lowest = -math.inf if known.minimum is None else known.minimum
    highest = math.inf if known.maximum is None else known.maximum
    if not math.isfinite(number) or not lowest <= number <= highest:
        raise UserError(f"{known.name} is {text}, but must be {known.allowed}.")
    return number


def _flag(known: Setting, prefix: str) -> str:
    return f"--{prefix}{known.name if prefix else known.name.replace('_', '-')}"


def _metavar(known: Setting) -> str:
    return "|".join(map(str, known.choices)) or METAVARS[known.type]


def _help(known: Setting, prefix: str) -> str:
    if prefix:  # the default is what the configuration file says
        return known.help.replace("%", "%%")
    default = "none" if known.default is None else repr(known.default) if known.type is str else known.default
    return f"{known.help} (default: {default})".replace("%", "%%")
