"""Text files as people have them: several encodings and line ends, several documents in a file, now and then no text.

A text is handed on in pieces of a few megabytes, so that a file of any size can be read.
"""

import codecs
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from microformer.errors import UserError

TEXT_SUFFIXES = (".txt", ".md", ".text", "")
LINES_SUFFIXES = (".jsonl", ".ndjson")
PIECE_CHARACTERS = 2**22
MAX_LINE_CHARACTERS = 64 * 2**20
_BINARY = "{} is not a text file (it has NUL bytes in it); give plain text."


class Piece(NamedTuple):
    """Some text of a document; ``ends`` says that the document ends with it."""

    text: str
    ends: bool


def read_files(paths: list[Path], limit: int | None, progress: Callable[[float], None]) -> Iterator[Piece]:
    """The documents of some files in order: one for a text file, one for each row of a JSON Lines file.

    At most about ``limit`` bytes are read. ``progress`` is told the fraction done. Raises ``UserError``.
    """
    total = sum(_size(path) for path in paths)
    total = min(total, limit) if limit else total
    done = 0
    for path in paths:
        for piece in _lines(path) if path.suffix.lower() in LINES_SUFFIXES else _text(path):
            yield piece
            done += len(piece.text.encode("utf-8", "surrogatepass"))
            progress(min(1.0, done / max(1, total)))
            if limit and done >= limit:
                return


def _size(path: Path) -> int:
    """The bytes of a file that can be read, or a sentence on why it cannot."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name the text files in it.")
    if path.suffix.lower() not in TEXT_SUFFIXES + LINES_SUFFIXES:
        raise UserError(f"{path.name} is not a kind of file that can be read; give .txt, .md or .jsonl files.")
    try:
        with path.open("rb"):
            return path.stat().st_size
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except OSError as error:
        raise UserError(f"{path.name} cannot be read: {error.strerror}.") from None


def _open(path: Path) -> io.TextIOWrapper:
    """The file as text: UTF-16 where a byte order mark says so, else UTF-8; all line ends become ``\\n``."""
    with path.open("rb") as file:
        start = file.read(8192)
    utf16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in start and not utf16:
        raise UserError(_BINARY.format(path.name))
    return path.open(encoding="utf-16" if utf16 else "utf-8-sig", newline=None)


def _text(path: Path) -> Iterator[Piece]:
    with _open(path) as file:
        read_any = False
        while text := _read(file, path, PIECE_CHARACTERS):
            read_any = True
            yield Piece(text, False)
        if read_any:
            yield Piece("", True)


def _lines(path: Path) -> Iterator[Piece]:
    with _open(path) as file:
        number = 0
        while line := _read(file, path, MAX_LINE_CHARACTERS, line=True):
            number += 1
            if line.strip():
                text = _text_of_row(line, f"Line {number:,} of {path.name}")
                if text:
                    yield Piece(text, True)


def _read(file: io.TextIOWrapper, path: Path, characters: int, *, line: bool = False) -> str:
    try:
        text = file.readline(characters) if line else file.read(characters)
    except UnicodeDecodeError as error:
        byte = error.object[error.start] if isinstance(error.object, bytes) else 0
        raise UserError(
            f"{path.name} is not UTF-8 text (it has the byte {byte:#04x}); open it in an editor, save it as UTF-8 and "
            "try again."
        ) from None
    except UnicodeError:
        raise UserError(f"{path.name} is not valid UTF-16 text; save it as UTF-8 and try again.") from None
    if "\0" in text:
        raise UserError(_BINARY.format(path.name))
    return text


def _text_of_row(line: str, where: str) -> str:
    """The text of a JSON Lines row: a string, or an object whose ``text`` is one."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise UserError(f'{where} is not JSON; each line must be {{"text": "…"}} or a string.') from None
    text = row.get("text") if isinstance(row, dict) else row
    if not isinstance(text, str):
        raise UserError(f'{where} has no text in it; each line must be {{"text": "…"}} or a string.')
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
