"""What BPE and WordPiece share: tokens that are spelled in bytes, found word by word by the ``tokenizers`` library.

All 256 bytes are tokens, so any text can be encoded.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tokenizers

from microformer.data.tokenizers.base import DOCUMENT_END, END_ID, END_OF_TEXT, Tokenizer, valid_text
from microformer.data.tokenizers.words import WordEncoder
from microformer.errors import UserError

DEFAULT_VOCAB_SIZE = 1024
MAX_VOCAB_SIZE = 300_000


def _byte_symbols() -> list[str]:
    """GPT-2's printable character for each byte, by byte: the library spells token bytes with them."""
    plain = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    symbols, others = [], 256
    for byte in range(256):
        if byte in plain:
            symbols.append(chr(byte))
        else:
            symbols.append(chr(others))
            others += 1
    return symbols


BYTE_SYMBOLS = _byte_symbols()
BYTE_OF_SYMBOL = {symbol: byte for byte, symbol in enumerate(BYTE_SYMBOLS)}


class ByteLevelTokenizer(Tokenizer):
    """Tokens in the order of their ids, ``<|endoftext|>`` first; a subclass sets the ``_backend`` that finds them."""

    _backend: tokenizers.Tokenizer

    def __init__(self, tokens: list[str], *, prefix: str = "") -> None:
        """``tokens`` are spelled in byte symbols, some of them behind ``prefix``. ``ValueError`` says what is wrong."""
        _check(tokens, prefix)
        self._tokens = tokens
        spelled = [token.removeprefix(prefix) for token in tokens[1:]]
        super().__init__([b"", *(bytes(BYTE_OF_SYMBOL[symbol] for symbol in token) for token in spelled)])
        self._ids = {token: index for index, token in enumerate(tokens)}
        self._words = WordEncoder(self._encode_pieces)

    def encode_array(self, text: str) -> np.ndarray:
        """See ``Tokenizer``."""
        ids = self.encode_documents(text)
        ids[ids == END_ID] = self._ids[BYTE_SYMBOLS[0]]  # a NUL that somebody typed is a byte like any other
        return ids

    def encode_documents(self, text: str) -> np.ndarray:
        """See ``Tokenizer``."""
        return self._words.encode(valid_text(text))

    def _encode_pieces(self, pieces: list[str]) -> list[list[int]]:
        return [encoded.ids for encoded in self._backend.encode_batch_fast(pieces, add_special_tokens=False)]


def learn(
    kind: str, learner: tokenizers.Tokenizer, trainer: Any, texts: Iterable[str], vocab_size: int | None
) -> dict[str, Any]:
    """The model that a trainer of the library makes of texts, in which ``DOCUMENT_END`` follows each document.

    ``vocab`` in it maps tokens to ids. Raises ``UserError`` where the texts give fewer tokens than were asked for.
    """
    learner.train_from_iterator(_documents(texts), trainer)
    learned: dict[str, Any] = json.loads(learner.to_str())["model"]
    found = len(learned["vocab"])
    if vocab_size is not None and found < vocab_size:
        raise UserError(
            f"The text supports at most {found:,} {kind} tokens, not {vocab_size:,}; choose a vocabulary of {found:,} "
            "or less, or more text."
        )
    return learned


def size_to_learn(kind: str, vocab_size: int | None, least: int) -> int:
    """The vocabulary size to learn; ``UserError`` for one that cannot be."""
    wanted = DEFAULT_VOCAB_SIZE if vocab_size is None else vocab_size
    if not least <= wanted <= MAX_VOCAB_SIZE:
        raise UserError(f"A {kind} vocabulary has {least} to {MAX_VOCAB_SIZE:,} tokens, not {wanted:,}.")
    return wanted


def _documents(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from valid_text(text).split(DOCUMENT_END)


def _check(tokens: list[str], prefix: str) -> None:
    """Refuse what the library would stumble over, and what could not encode every text."""
    if not tokens or tokens[0] != END_OF_TEXT:
        raise ValueError(f"its first token is not {END_OF_TEXT}")
    if len(tokens) > MAX_VOCAB_SIZE:
        raise ValueError(f"it has {len(tokens):,} tokens, more than {MAX_VOCAB_SIZE:,}")
    known = set(tokens)
    if len(known) < len(tokens):
        raise ValueError("it has the same token twice")
    for token in tokens[1:]:
        spelled = token.removeprefix(prefix)
        if not spelled or not BYTE_OF_SYMBOL.keys() >= set(spelled):
            raise ValueError(f"its token {token[:40]!r} is not spelled in bytes")
    if any(symbol not in known or prefix + symbol not in known for symbol in BYTE_SYMBOLS):
        raise ValueError("it lacks some of the 256 bytes, so it cannot encode every text")
