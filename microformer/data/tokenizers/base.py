"""What all tokenizers share: every token stands for some bytes, and text is those bytes joined.

Token 0 is always ``<|endoftext|>``. It stands for no bytes, ends every document and every taught answer, and no text
a person types can produce it.
"""

import abc
import codecs
import functools
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from microformer import files

END_OF_TEXT = "<|endoftext|>"
END_ID = 0
# Ends each document in the text that ``encode_documents`` is given. Sources refuse it in the texts themselves.
DOCUMENT_END = "\0"


class Tokenizer(abc.ABC):
    """Text to token ids and back. ``decode(encode(text)) == text`` for any text that is valid Unicode.

    Lone surrogates (halves of a character, which no file can hold) become U+FFFD before anything else.
    """

    kind: str
    end_id: int = END_ID

    def __init__(self, parts: list[bytes]) -> None:
        """``parts[i]`` are the bytes that token ``i`` stands for; ``parts[0]`` is empty."""
        self._parts = parts

    @property
    def vocab_size(self) -> int:
        """How many different tokens there are, ``<|endoftext|>`` included."""
        return len(self._parts)

    @abc.abstractmethod
    def encode_array(self, text: str) -> np.ndarray:
        """The token ids of one text, as a one-dimensional integer array."""

    @abc.abstractmethod
    def encode_documents(self, text: str) -> np.ndarray:
        """The token ids of text in which ``DOCUMENT_END`` follows each document and becomes ``end_id``.

        Meant for megabytes at a time; see ``cut_text`` for where text may be cut.
        """

    @abc.abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Everything needed to build this tokenizer again, as plain JSON values."""

    def encode(self, text: str) -> list[int]:
        """The token ids of a text; never ``end_id``, whatever the text says."""
        return self.encode_array(text).tolist()

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some token ids; ``end_id`` is dropped and broken UTF-8 shows as U+FFFD."""
        return b"".join([self._parts[i] for i in ids]).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """The bytes that one token stands for; empty for ``end_id``."""
        return self._parts[token]

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """What each token adds to the text: joined, the pieces are ``decode(ids)``.

        Where several tokens are the bytes of one character, the last of them shows it and the others are empty.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        shown = [decoder.decode(self._parts[i]) for i in ids]
        if shown:
            shown[-1] += decoder.decode(b"", final=True)
        return shown

    def token_label(self, token: int) -> str:
        """A token's name for charts: spaces and line ends made visible, parts of a character as ``<E2>``."""
        if token == self.end_id:
            return END_OF_TEXT
        try:
            text = self._parts[token].decode("utf-8")
        except UnicodeDecodeError:
            return "".join(f"<{byte:02X}>" for byte in self._parts[token])
        return text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")

    @functools.cached_property
    def byte_lengths(self) -> np.ndarray:
        """How many UTF-8 bytes each token stands for, ``(vocab_size,)``; 0 for ``<|endoftext|>``."""
        return np.array([len(part) for part in self._parts], np.int64)

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of what the tokenizer is made of: equal for equal tokenizers, on every machine."""
        plain = json.dumps(self.to_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(plain.encode()).hexdigest()

    def save(self, path: Path) -> None:
        """Write the tokenizer as JSON, whole or not at all."""
        files.write_json(path, self.to_dict())


def valid_text(text: str) -> str:
    """``text`` with lone surrogates replaced by U+FFFD, and surrogate pairs joined to the character they mean."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def cut_text(text: str) -> int:
    """Where a long text may be cut so that the tokens of the two parts joined are the tokens of the whole.

    Every pattern that splits text into words before BPE starts a new word at a space that follows a non-space, so
    such a space is a safe place; so is a document's end. 0 if there is neither in the last part of the text.
    """
    end = len(text)
    floor = max(0, end - 10_000)
    while (space := text.rfind(" ", floor, end)) > 0:
        if not text[space - 1].isspace():
            return max(space, text.rfind(DOCUMENT_END, floor) + 1)
        end = space
    return text.rfind(DOCUMENT_END, floor) + 1
