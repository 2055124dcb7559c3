"""Text files as documents: one for a text file, one for each row of a JSON Lines or CSV file.

A text is handed on in pieces of a few megabytes, so that a file of any size can be read.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from microformer.data.row_files import COLUMNS, kind_of, numbered_rows
from microformer.data.text_files import TEXT_SUFFIXES, clean, open_text, read, size_of
from microformer.errors import UserError

PIECE_CHARACTERS = 2**22


class Piece(NamedTuple):
    """Some text of a document; ``ends`` says that the document ends with it."""

    text: str
    ends: bool


def read_files(paths: list[Path], limit: int | None, progress: Callable[[float], None]) -> Iterator[Piece]:
    """The documents of some files in order.

    At most about ``limit`` bytes are read. ``progress`` is called with the fraction done. Raises ``UserError``.
    """
    total = sum(size_of(path) for path in paths)
    total = min(total, limit) if limit else total
    done = 0
    for path in paths:
        most = limit - done if limit else PIECE_CHARACTERS
        for piece in _text(path, most) if path.suffix.lower() in TEXT_SUFFIXES else _rows(path):
            yield piece
            done += len(piece.text.encode("utf-8", "surrogatepass"))
            progress(min(1.0, done / max(1, total)))
            if limit and done >= limit:
                return


def _text(path: Path, most: int) -> Iterator[Piece]:
    with open_text(path) as file:
        read_any = False
        while text := read(file, path, min(PIECE_CHARACTERS, most)):
            read_any = True
            yield Piece(text, False)
        if read_any:
            yield Piece("", True)


def _rows(path: Path) -> Iterator[Piece]:
    for where, row in numbered_rows(path):
        text = _text_of_row(row, where)
        if text:
            yield Piece(text, True)


def _text_of_row(row: Any, where: str) -> str:
    """The text of a row: a string, or an object whose ``text`` is one."""
    kind = kind_of(row, where)
    if kind != "text":
        raise UserError(
            f"{where} has {' and '.join(COLUMNS[kind])}, but the lines before it are plain text; "
            "make a dataset of one kind at a time."
        )
    text = row.get("text") if isinstance(row, dict) else row
    if not isinstance(text, str):
        raise UserError(f'{where} has no text in it; each line must be {{"text": "…"}} or a string.')
    return clean(text)
