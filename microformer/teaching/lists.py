"""Lists of facts from files people have: JSON lines, or a table of two columns from a spreadsheet."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from microformer.errors import UserError
from microformer.files import json_lines_of, read_text
from microformer.teaching.session import MAX_FACTS, Fact, checked

MAX_BYTES = 8 * 2**20
SEPARATORS = {".csv": ",", ".tsv": "\t"}


def read_facts(path: Path) -> list[Fact]:
    """The facts of a file: ``.csv`` and ``.tsv`` are tables, anything else is JSON lines.

    A later line replaces one with the same key. Raises ``UserError`` that names the line which is not a fact.
    """
    text, name = read_text(path, MAX_BYTES), path.name
    separator = SEPARATORS.get(path.suffix.lower())
    rows = _json_rows(text, name) if separator is None else _table_rows(text, name, separator)
    facts: dict[str, Fact] = {}
    for number, prompt, answer in rows:
        try:
            fact = checked(Fact(prompt, answer))
        except UserError as error:
            raise UserError(f"Line {number} of {name}: {error}") from None
        facts[fact.key] = fact
        if len(facts) > MAX_FACTS:
            raise UserError(f"{name} holds more than {MAX_FACTS:,} facts; split it into several sessions.")
    if not facts:
        raise UserError(f"{name} holds no facts; write a prompt and an answer on each line.")
    return list(facts.values())


def _json_rows(text: str, name: str) -> Iterable[tuple[int, str, str]]:
    for number, row in json_lines_of(text):
        good = isinstance(row, dict) and isinstance(row.get("prompt"), str) and isinstance(row.get("answer"), str)
        if not good:
            raise UserError(f'Line {number} of {name} is not a fact; it should be {{"prompt": "…", "answer": "…"}}.')
        yield number, row["prompt"], row["answer"]


def _table_rows(text: str, name: str, separator: str) -> Iterable[tuple[int, str, str]]:
    """Rows of a table. A first row that says *prompt* and *answer* names the columns; else they are the first two."""
    first_line = text.lstrip().partition("\n")[0]
    if separator == "," and first_line.count(";") > first_line.count(","):  # spreadsheets where a comma is decimal
        separator = ";"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns: tuple[int, int] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if columns is None:
                named = [cell.strip().lower() for cell in row]
                header = "prompt" in named and "answer" in named
                columns = (named.index("prompt"), named.index("answer")) if header else (0, 1)
                if header:
                    continue
            if len(row) <= max(columns):
                raise UserError(
                    f"Line {reader.line_num} of {name} has {len(row)} columns, but needs a prompt and an answer."
                )
            yield reader.line_num, row[columns[0]], row[columns[1]]
    except csv.Error as error:
        raise UserError(f"Line {reader.line_num} of {name} cannot be read as a table: {error}.") from None
