"""The character tokenizer: one token for each character of the corpus, and 256 byte tokens for all others.

A name with a character the corpus lacks (*Łódź*) is spelled with the bytes of that character, so that it can be
typed, taught and told apart all the same.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from microformer.data.tokenizers.base import DOCUMENT_END, END_ID, Tokenizer, valid_text
from microformer.errors import UserError

CODE_POINTS = 0x110000
MAX_CHARACTERS = 100_000
_UNKNOWN = -1


class CharTokenizer(Tokenizer):
    """Token 0 is the end, then the corpus's characters in code point order, then the bytes 0 to 255."""

    kind = "char"

    def __init__(self, characters: str) -> None:
        """``characters``: each character of the corpus once, in any order."""
        self.characters = "".join(sorted(set(characters)))
        self.first_byte = 1 + len(self.characters)
        self._ids = np.full(CODE_POINTS, _UNKNOWN, np.int32)
        self._ids[_code_points(self.characters)] = np.arange(1, self.first_byte)
        super().__init__(
            [b"", *(character.encode() for character in self.characters), *(bytes([byte]) for byte in range(256))]
        )

    @classmethod
    def of(cls, texts: Iterable[str]) -> "CharTokenizer":
        """The tokenizer that knows every character of ``texts`` (except ``DOCUMENT_END``)."""
        found = np.zeros(CODE_POINTS, bool)
        for text in texts:
            found[_code_points(valid_text(text))] = True
        found[ord(DOCUMENT_END)] = False
        characters = np.flatnonzero(found)
        if len(characters) > MAX_CHARACTERS:
            raise UserError(
                f"The text has {len(characters):,} different characters, more than the {MAX_CHARACTERS:,} that a "
                "character tokenizer can hold; choose byte or bpe."
            )
        return cls("".join(map(chr, characters)))

    def encode_array(self, text: str) -> np.ndarray:
        """See ``Tokenizer``."""
        points = _code_points(valid_text(text))
        return self._with_bytes(points, self._ids[points])

    def encode_documents(self, text: str) -> np.ndarray:
        """See ``Tokenizer``."""
        points = _code_points(valid_text(text))
        ids = self._ids[points]
        ids[points == ord(DOCUMENT_END)] = END_ID
        return self._with_bytes(points, ids)

    def to_dict(self) -> dict[str, Any]:
        """See ``Tokenizer``."""
        return {"format": 1, "kind": self.kind, "characters": self.characters}

    def token_label(self, token: int) -> str:
        """As for every tokenizer, but a byte of the fallback is never mistaken for a character: ``<41>``, not ``A``."""
        if token >= self.first_byte:
            return f"<{token - self.first_byte:02X}>"
        return super().token_label(token)

    def _with_bytes(self, points: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Put the UTF-8 bytes in the place of each unknown character; ``(N,)`` -> ``(N or more,)``."""
        known = ids != _UNKNOWN
        if known.all():
            return ids
        lengths = np.where(known, 1, 1 + (points > 0x7F) + (points > 0x7FF) + (points > 0xFFFF))
        from_byte = np.repeat(~known, lengths)
        encoded = points[~known].tobytes().decode("utf-32-le").encode()
        longer = np.empty(len(from_byte), np.int32)
        longer[~from_byte] = ids[known]
        longer[from_byte] = self.first_byte + np.frombuffer(encoded, np.uint8).astype(np.int32)
        return longer


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")
