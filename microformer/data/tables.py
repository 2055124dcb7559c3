"""Rows with answers, from JSON lines and CSV files: what kind of rows a file holds, and what stands in them.

A text may come with the name of a class (``label``) or a number (``value``), or as a ``source`` and its ``target``.
Which of these a file holds is told by its keys, or by its columns.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from microformer.data.row_files import COLUMNS, NAMES, kind_of, numbered_rows
from microformer.data.text_files import TEXT_SUFFIXES, clean, size_of
from microformer.errors import UserError

LARGEST = 1e30
"""Of a value, so that its square is still a number."""


class Row(NamedTuple):
    """A text and what is known of it: a label, the number itself, or the text that answers it."""

    text: str
    answer: str | float


def kind_of_files(paths: list[Path]) -> str:
    """``text``, or the key of ``COLUMNS`` that all of some files hold, as the first row of each says."""
    kinds = {path: _kind_of_file(path) for path in paths}
    different = list(dict.fromkeys(kinds.values()))
    if len(different) > 1:
        one, other = (next(path.name for path in paths if kinds[path] == kind) for kind in different[:2])
        raise UserError(
            f"{one} holds {NAMES[different[0]]}, but {other} holds {NAMES[different[1]]}; "
            "make a dataset of one kind at a time."
        )
    return different[0] if different else "text"


def _kind_of_file(path: Path) -> str:
    size_of(path)
    if path.suffix.lower() in TEXT_SUFFIXES:
        return "text"
    where, row = next(numbered_rows(path), ("", ""))
    return kind_of(row, where)


def read_rows(paths: list[Path], kind: str, limit: int | None = None) -> Iterator[Row]:
    """The rows of some files in order, at most about ``limit`` bytes.

    Raises ``UserError``, naming the line, for a row of another kind or one that lacks something.
    """
    done = 0
    for path in paths:
        for where, plain in numbered_rows(path):
            row = _row(plain, kind, where)
            yield row
            done += len(row.text.encode("utf-8", "surrogatepass")) + len(str(row.answer))
            if limit and done >= limit:
                return


def _row(plain: Any, kind: str, where: str) -> Row:
    if not isinstance(plain, dict):
        raise UserError(f"{where} is only a text, but the lines before it have {' and '.join(COLUMNS[kind])}.")
    other = kind_of(plain, where)
    if other not in ("text", kind):
        raise UserError(
            f"{where} has {' and '.join(COLUMNS[other])}, but the lines before it have {' and '.join(COLUMNS[kind])}; "
            "make a dataset of one kind at a time."
        )
    asked, answer = COLUMNS[kind]
    text = _text(plain.get(asked), asked, where)
    if kind == "labelled":
        return Row(text, _label(plain.get(answer), where))
    if kind == "valued":
        return Row(text, _value(plain.get(answer), where))
    return Row(text, _text(plain.get(answer), answer, where))


def _text(value: Any, name: str, where: str) -> str:
    if value is None:
        raise UserError(f"{where} has no {name}; give it one, or leave the line out.")
    if not isinstance(value, str):
        raise UserError(f"{where} has {value!r} as its {name}, which must be a text.")
    text = clean(value)
    if not text.strip():
        raise UserError(f"{where} has an empty {name}; give it one, or leave the line out.")
    return text


def _label(value: Any, where: str) -> str:
    label = " ".join(value.split()) if isinstance(value, str) else "" if value is None else json.dumps(value)
    if not label or isinstance(value, list | dict):
        raise UserError(f'{where} has no label; a label is the name of a class, such as "happy".')
    return label[:200]


def _value(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= LARGEST:
        shown = "no value" if value in (None, "") else f"{value!r:.40} as its value"
        raise UserError(f"{where} has {shown}, but a value must be a number between -1e30 and 1e30, such as 3 or 0.5.")
    return number
