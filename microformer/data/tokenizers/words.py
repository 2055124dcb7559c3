"""Encoding long text word by word, each different word only once.

A BPE library spends most of its time on splitting and on words it has just seen. Text is cut here at places where
every splitting pattern starts a new word anyway, each different piece is encoded once, and the ids are put together
by one gather: about ten times as fast as encoding the text itself, with the same result.
"""

import re
import threading
from collections.abc import Callable

import numpy as np

from microformer.data.tokenizers.base import DOCUMENT_END, END_ID

# White space with the word after it, up to the next space. Line ends stay inside a piece, because some splitting
# patterns join punctuation with the line ends that follow it.
_PIECE = re.compile(r"\0|[^\S\0]*[^\s\0]+(?:[^\S \0][^\S\0]*[^\s\0]+)*(?:[^\S \0][^\S\0]*(?=\0|\Z))?|[^\S\0]+")
_MAX_KNOWN = 200_000


class WordEncoder:
    """``encode(text)`` for text of any length, given a way to encode a list of short pieces. Safe between threads."""

    def __init__(self, encode_pieces: Callable[[list[str]], list[list[int]]]) -> None:
        self._encode_pieces = encode_pieces
        self._lock = threading.Lock()
        self._forget()

    def encode(self, text: str) -> np.ndarray:
        """The ids of the text, ``(N,)``; each ``DOCUMENT_END`` in it becomes ``END_ID``."""
        pieces = _PIECE.findall(text)
        with self._lock:
            if len(self._index) > _MAX_KNOWN:
                self._forget()
            self._learn(set(pieces).difference(self._index))
            which = np.fromiter(map(self._index.__getitem__, pieces), np.int64, len(pieces))
            flat, starts, lengths = self._flat, self._starts[which], self._lengths[which]
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        return flat[np.repeat(starts - (ends - lengths), lengths) + np.arange(total)]

    def _forget(self) -> None:
        self._index = {DOCUMENT_END: 0}
        self._flat = np.array([END_ID], np.int32)
        self._starts, self._lengths = np.array([0]), np.array([1])

    def _learn(self, unknown: set[str]) -> None:
        """Encode pieces not met before and append their ids to the flat store."""
        if not unknown:
            return
        pieces = sorted(unknown)
        encoded = self._encode_pieces(pieces)
        lengths = np.array([len(ids) for ids in encoded])
        starts = len(self._flat) + np.cumsum(lengths) - lengths
        self._index.update(zip(pieces, range(len(self._starts), len(self._starts) + len(pieces)), strict=True))
        self._flat = np.concatenate([self._flat, np.array([i for ids in encoded for i in ids], np.int32)])
        self._starts = np.concatenate([self._starts, starts])
        self._lengths = np.concatenate([self._lengths, lengths])
