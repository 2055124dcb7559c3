"""Lists of facts that a person wrote: JSON lines, or a table with a column of prompts and one of answers."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from microformer.errors import UserError
from microformer.files import read_text
from microformer.teaching.session import MAX_FACTS, Fact, checked

MAX_BYTES = 16 * 2**20


def read_facts(path: Path) -> list[Fact]:
    """The facts in a ``.jsonl``, ``.csv`` or ``.tsv`` file. Raises ``UserError`` that names the line which is wrong."""
    return facts_of(read_text(path, MAX_BYTES), path.name)


def facts_of(text: str, name: str) -> list[Fact]:
    """The facts in the text of a file called ``name``, whose ending tells tables from JSON lines."""
    text = text.removeprefix("\ufeff")
    is_table = name.lower().endswith((".csv", ".tsv"))
    facts = []
    for number, pair in _rows_of_table(text, name) if is_table else _rows_of_json(text, name):
        try:
            facts.append(checked(Fact(*pair)))
        except UserError as error:
            raise UserError(f"Line {number} of {name}: {error}") from None
        if len(facts) > MAX_FACTS:
            raise UserError(f"{name} holds more than {MAX_FACTS:,} facts; split it.")
    if not facts:
        raise UserError(f"{name} holds no facts; write a prompt and an answer on each line.")
    return facts


def _rows_of_json(text: str, name: str) -> Iterator[tuple[int, tuple[str, str]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            raise UserError(f"Line {number} of {name} is not valid JSON.") from None
        if not isinstance(row, dict) or not all(isinstance(row.get(part), str) for part in ("prompt", "answer")):
            raise UserError(f'Line {number} of {name} is not a fact; write {{"prompt": "…", "answer": "…"}}.')
        yield number, (row["prompt"], row["answer"])


def _rows_of_table(text: str, name: str) -> Iterator[tuple[int, tuple[str, str]]]:
    """The first two columns, or those that the first line calls prompt and answer."""
    first_line = text.lstrip().partition("\n")[0]
    delimiter = "\t" if name.lower().endswith(".tsv") else max(",;\t", key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    prompt_at, answer_at, begun = 0, 1, False
    try:
        for row in reader:
            titles = [cell.strip().casefold() for cell in row]
            if not any(titles):
                continue
            if not begun and {"prompt", "answer"} <= set(titles):
                prompt_at, answer_at, begun = titles.index("prompt"), titles.index("answer"), True
                continue
            begun = True
            if len(row) <= max(prompt_at, answer_at):
                raise UserError(f"Line {reader.line_num} of {name} has no answer; write a prompt and an answer in it.")
            yield reader.line_num, (row[prompt_at], row[answer_at])
    except csv.Error as error:
        raise UserError(f"Line {reader.line_num} of {name} is not part of a table: {error}.") from None
