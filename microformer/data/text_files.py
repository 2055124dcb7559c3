"""Opening text files as people have them: several encodings and line ends, and a sentence for what is not text."""

import codecs
import io
from pathlib import Path

from microformer.errors import UserError

TEXT_SUFFIXES = (".txt", ".md", ".text", "")
LINES_SUFFIXES = (".jsonl", ".ndjson")
TABLE_SUFFIXES = (".csv", ".tsv")
MAX_LINE_CHARACTERS = 64 * 2**20
_BINARY = "{} is not a text file (it has NUL bytes in it); give plain text."


def size_of(path: Path) -> int:
    """The bytes of a file that can be read, or a sentence on why it cannot."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name the text files in it.")
    if path.suffix.lower() not in TEXT_SUFFIXES + LINES_SUFFIXES + TABLE_SUFFIXES:
        raise UserError(f"{path.name} is not a kind of file that can be read; give .txt, .md, .jsonl or .csv files.")
    try:
        with path.open("rb"):
            return path.stat().st_size
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except OSError as error:
        raise UserError(f"{path.name} cannot be read: {error.strerror}.") from None


def open_text(path: Path) -> io.TextIOWrapper:
    """The file as text: UTF-16 where a byte order mark says so, else UTF-8; all line ends become ``\\n``."""
    with path.open("rb") as file:
        start = file.read(8192)
    utf16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in start and not utf16:
        raise UserError(_BINARY.format(path.name))
    return path.open(encoding="utf-16" if utf16 else "utf-8-sig", newline=None)


def read(file: io.TextIOWrapper, path: Path, characters: int, *, line: bool = False) -> str:
    """The next ``characters`` of an open file, or with ``line`` its next line, at most as long; empty at its end.

    Raises ``UserError`` where the bytes are not text.
    """
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
    if line and len(text) >= characters:
        raise UserError(f"{path.name} has a line of more than {characters:,} characters; break it up.")
    if "\0" in text:
        raise UserError(_BINARY.format(path.name))
    return text


def clean(text: str) -> str:
    """The text with ``\\n`` line ends and without NUL."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
