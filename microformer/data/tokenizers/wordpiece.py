"""Byte-level WordPiece (Schuster & Nakajima 2012; BERT), trained and run by the ``tokenizers`` library.

A word is cut from the left, each time at the longest piece that is a token. Pieces that begin a word and pieces that
continue one are different tokens; every byte is there as both, so any text can be encoded.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from microformer.data.tokenizers.base import END_ID, END_OF_TEXT, Tokenizer, valid_text
from microformer.data.tokenizers.bpe import (
    BYTE_OF_SYMBOL,
    BYTE_SYMBOLS,
    MAX_VOCAB_SIZE,
    documents,
    refuse_too_few,
    wanted_size,
)
from microformer.data.tokenizers.words import WordEncoder

CONTINUES = "…"
"""Stands before a piece that continues a word. BERT writes ##, which here could be two typed characters."""
MIN_VOCAB_SIZE = 513
LONGEST_WORD = 64
"""Bytes; a longer word is cut there first, because looking for the longest piece takes the square of its length."""


class WordPieceTokenizer(Tokenizer):
    """Byte-level WordPiece with ``<|endoftext|>`` as token 0."""

    kind = "wordpiece"

    def __init__(self, tokens: list[str]) -> None:
        """``tokens`` in the order of their ids, ``<|endoftext|>`` first, spelled with GPT-2's byte symbols behind
        ``CONTINUES`` where they continue a word. ``ValueError`` says what is wrong with them."""
        _check(tokens)
        self._tokens = tokens
        spelled = [token.removeprefix(CONTINUES) for token in tokens[1:]]
        super().__init__([b"", *(bytes(BYTE_OF_SYMBOL[symbol] for symbol in token) for token in spelled)])
        vocabulary = {token: index for index, token in enumerate(tokens)}
        self._backend = tokenizers.Tokenizer(
            models.WordPiece(vocabulary, unk_token=END_OF_TEXT, continuing_subword_prefix=CONTINUES)
        )
        self._backend.pre_tokenizer = _words()
        self._encoder = WordEncoder(self._encode_pieces)
        self._nul = vocabulary[BYTE_SYMBOLS[0]]

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int | None = None) -> "WordPieceTokenizer":
        """Learn ``vocab_size`` tokens from texts (documents ended by ``DOCUMENT_END`` are told apart).

        Without a ``vocab_size``, it is ``DEFAULT_VOCAB_SIZE``, or as many as the texts support.
        """
        wanted = wanted_size("WordPiece", vocab_size, MIN_VOCAB_SIZE)
        # Given as special tokens, the bytes get the first ids in this order; else ties would be broken by chance.
        first = [END_OF_TEXT, *BYTE_SYMBOLS, *(CONTINUES + symbol for symbol in BYTE_SYMBOLS)]
        learner = tokenizers.Tokenizer(models.WordPiece(unk_token=END_OF_TEXT))
        learner.pre_tokenizer = _words()
        trainer = trainers.WordPieceTrainer(
            vocab_size=wanted,
            special_tokens=first,
            continuing_subword_prefix=CONTINUES,
            show_progress=False,
        )
        learner.train_from_iterator(documents(texts), trainer)
        learned = json.loads(learner.to_str())["model"]["vocab"]
        refuse_too_few("WordPiece", len(learned), vocab_size)
        return cls(sorted(learned, key=learned.__getitem__))

    def encode_array(self, text: str) -> np.ndarray:
        """See ``Tokenizer``."""
        ids = self.encode_documents(text)
        ids[ids == END_ID] = self._nul  # a NUL that somebody typed is a byte like any other
        return ids

    def encode_documents(self, text: str) -> np.ndarray:
        """See ``Tokenizer``."""
        return self._encoder.encode(valid_text(text))

    def to_dict(self) -> dict[str, Any]:
        """See ``Tokenizer``."""
        return {"format": 1, "kind": self.kind, "tokens": self._tokens}

    def _encode_pieces(self, pieces: list[str]) -> list[list[int]]:
        return [encoded.ids for encoded in self._backend.encode_batch_fast(pieces, add_special_tokens=False)]


def _words() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.FixedLength(LONGEST_WORD)]
    )


def _check(tokens: list[str]) -> None:
    """Refuse what the library would stumble over, and what could not encode every text."""
    if not tokens or tokens[0] != END_OF_TEXT:
        raise ValueError(f"its first token is not {END_OF_TEXT}")
    if len(tokens) > MAX_VOCAB_SIZE:
        raise ValueError(f"it has {len(tokens):,} tokens, more than {MAX_VOCAB_SIZE:,}")
    known = set(tokens)
    if len(known) < len(tokens):
        raise ValueError("it has the same token twice")
    for token in tokens[1:]:
        spelled = token.removeprefix(CONTINUES)
        if not spelled or not BYTE_OF_SYMBOL.keys() >= set(spelled):
            raise ValueError(f"its token {token[:40]!r} is not spelled in bytes")
    if any(symbol not in known or CONTINUES + symbol not in known for symbol in BYTE_SYMBOLS):
        raise ValueError("it lacks some of the 256 bytes, so it cannot encode every text")
