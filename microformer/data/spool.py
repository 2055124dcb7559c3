"""A temporary file that holds all text of a dataset while it is counted, learned from and encoded.

Sources can be read once only (a network stream), and may be larger than memory; preparing needs to go over the text
up to three times. Documents stand one after the other, each followed by ``DOCUMENT_END``.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from microformer.data.reading import Piece
from microformer.data.tokenizers.base import DOCUMENT_END, cut_text, valid_text

_BLOCK = 2**22
_BUFFER = 2**20
# The validation split begins after a document or a line if one ends this near (in parts of the whole text) to where
# it would begin otherwise.
_NEAR = {DOCUMENT_END: 0.02, "\n": 0.005}


class Spool:
    """All text of a source as UTF-8 in one file; sizes are counted without the marks between documents."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file_bytes = self.bytes = self.characters = self.documents = 0

    def fill(self, pieces: Iterable[Piece]) -> None:
        """Write all documents. White space at both ends of a document is kept; empty documents are left out."""
        with self.path.open("wb") as file:
            buffer: list[str] = []
            buffered, inside = 0, False
            for piece in pieces:
                buffer.append(piece.text)
                buffered += len(piece.text)
                inside = inside or bool(piece.text)
                if piece.ends and inside:
                    buffer.append(DOCUMENT_END)
                    self.documents += 1
                    inside = False
                if buffered > _BUFFER:
                    self._write(file.write, buffer)
                    buffered = 0
            if inside:
                buffer.append(DOCUMENT_END)
                self.documents += 1
            self._write(file.write, buffer)
        self.bytes = self.file_bytes - self.documents
        self.characters -= self.documents

    def _write(self, write: Callable[[bytes], int], buffer: list[str]) -> None:
        text = valid_text("".join(buffer))
        data = text.encode()
        write(data)
        self.file_bytes += len(data)
        self.characters += len(text)
        buffer.clear()

    def cut(self, fraction: float) -> int:
        """The byte at which the part after ``fraction`` of the text begins: after a document or a line where one
        ends close by, else between two characters."""
        wanted = int(self.file_bytes * fraction)
        for mark, near_part in _NEAR.items():
            near = min(_BUFFER, int(self.file_bytes * near_part))
            with self.path.open("rb") as file:
                file.seek(wanted - near)
                around = file.read(2 * near)
            places = [around.rfind(mark.encode(), 0, near) + 1, around.find(mark.encode(), near) + 1]
            offsets = [place - near for place in places if place]
            if offsets:
                return wanted + min(offsets, key=abs)
        return wanted + _to_character(self.path, wanted)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[str]:
        """The text from one byte to another, in blocks that can be encoded one by one: see ``cut_text``."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        left = (self.file_bytes if stop is None else stop) - start
        rest = ""
        with self.path.open("rb") as file:
            file.seek(start)
            while left:
                data = file.read(min(_BLOCK, left))
                left -= len(data)
                text = rest + decoder.decode(data)
                place = len(text) if not left else cut_text(text) or len(text)
                rest = text[place:]
                yield text[:place]

    def sample(self, size: int) -> Iterator[str]:
        """About ``size`` bytes of text, taken evenly from everywhere; all of it where it is no larger."""
        if self.file_bytes <= size:
            yield from self.blocks()
            return
        parts = max(1, size // _BUFFER)
        for part in range(parts):
            start = part * self.file_bytes // parts
            start += _to_character(self.path, start)
            stop = min(self.file_bytes, start + size // parts)
            stop += _to_character(self.path, stop)
            yield from self.blocks(start, stop)


def _to_character(path: Path, byte: int) -> int:
    """How many bytes after ``byte`` the next character begins."""
    with path.open("rb") as file:
        file.seek(byte)
        ahead = file.read(4)
    return next((skip for skip, value in enumerate(ahead) if value & 0xC0 != 0x80), len(ahead))
