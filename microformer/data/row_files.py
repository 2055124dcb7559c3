"""Rows of JSON lines and CSV files as they stand there, each with the words that name its place, and their kinds."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from microformer.data.text_files import MAX_LINE_CHARACTERS, TABLE_SUFFIXES, open_text, read
from microformer.errors import UserError

COLUMNS = {"labelled": ("text", "label"), "valued": ("text", "value"), "paired": ("source", "target")}
"""What the rows of each kind of dataset are made of: what is read, and what is to be predicted."""
NAMES = {
    "text": "plain text",
    "labelled": "texts with labels",
    "valued": "texts with values",
    "paired": "sources with targets",
}
"""What a dataset of each kind is said to hold."""
SHAPES = '{"text", "label"}, {"text", "value"}, {"source", "target"} or {"text"}'


def numbered_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """``Line 3 of a.jsonl`` and what stands there, for each line that is not empty. Raises ``UserError``.

    A row of a CSV file is a dictionary by column; an empty cell is ``None``.
    """
    with open_text(path) as file:
        lines = iter(lambda: read(file, path, MAX_LINE_CHARACTERS, line=True), "")
        if path.suffix.lower() in TABLE_SUFFIXES:
            yield from _csv_rows(lines, path.name)
            return
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"Line {number:,} of {path.name}"
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    raise UserError(f'{where} is not JSON; each line must be {{"text": "…"}} or a string.') from None
                yield where, row


def kind_of(row: Any, where: str) -> str:
    """The kind of a row by its keys. Raises ``UserError`` for a row that could be two kinds."""
    if not isinstance(row, dict):
        return "text"
    found = [kind for kind, names in COLUMNS.items() if row.keys() >= set(names)]
    if len(found) > 1:
        raise UserError(
            f"{where} has {' and '.join(COLUMNS[found[0]])}, but also {' and '.join(COLUMNS[found[1]])}; "
            f"each line must be {SHAPES}."
        )
    return found[0] if found else "text"


def _csv_rows(lines: Iterator[str], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a CSV file by column name, separated by commas, semicolons or tabs. Raises ``UserError``."""
    csv.field_size_limit(MAX_LINE_CHARACTERS)
    head = next(lines, "")
    wanted = set().union(*COLUMNS.values())
    columns: list[str] = []
    delimiter = ","
    for mark in ",;\t":
        cells = [cell.strip().lower() for cell in next(csv.reader([head], delimiter=mark), [])]
        if len(wanted & set(cells)) > len(wanted & set(columns)):
            columns, delimiter = cells, mark
    if not any(set(names) <= set(columns) for names in (*COLUMNS.values(), ("text",))):
        raise UserError(
            f"The first line of {name} must name its columns: text and label, text and value, source and target, "
            f"or text; it says {head.strip()[:80]!r}."
        )
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if cells:
                values = [cell if cell.strip() else None for cell in cells]
                yield f"Line {reader.line_num + 1:,} of {name}", dict(zip(columns, values, strict=False))
    except csv.Error as error:
        raise UserError(f"Line {reader.line_num + 1:,} of {name} is not well-formed CSV: {error}.") from None
