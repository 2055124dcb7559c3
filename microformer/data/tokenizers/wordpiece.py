"""Byte-level WordPiece (Schuster & Nakajima 2012; BERT), trained and run by the ``tokenizers`` library.

A word is cut from the left, each time at the longest piece that is a token. Pieces that begin a word and pieces that
continue one are different tokens; every byte is there as both.
"""

from collections.abc import Iterable
from typing import Any

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from microformer.data.tokenizers.base import END_OF_TEXT
from microformer.data.tokenizers.byte_level import BYTE_SYMBOLS, ByteLevelTokenizer, learn, size_to_learn

CONTINUES = "…"
"""Stands before a piece that continues a word. BERT writes ##, which here could be two typed characters."""
MIN_VOCAB_SIZE = 513
LONGEST_WORD = 64
"""Bytes; a longer word is cut there first, because looking for the longest piece takes the square of its length."""


class WordPieceTokenizer(ByteLevelTokenizer):
    """Byte-level WordPiece with ``<|endoftext|>`` as token 0."""

    kind = "wordpiece"

    def __init__(self, tokens: list[str]) -> None:
        """``tokens`` in the order of their ids, ``<|endoftext|>`` first, spelled with GPT-2's byte symbols behind
        ``CONTINUES`` where they continue a word. ``ValueError`` says what is wrong with them."""
        super().__init__(tokens, prefix=CONTINUES)
        self._backend = tokenizers.Tokenizer(
            models.WordPiece(self._ids, unk_token=END_OF_TEXT, continuing_subword_prefix=CONTINUES)
        )
        self._backend.pre_tokenizer = _splitter()

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int | None = None) -> "WordPieceTokenizer":
        """Learn ``vocab_size`` tokens from texts (documents ended by ``DOCUMENT_END`` are told apart).

        Without a ``vocab_size``, it is ``DEFAULT_VOCAB_SIZE``, or as many as the texts support.
        """
        # Given as special tokens, the bytes get the first ids in this order; else ties would be broken by chance.
        first = [END_OF_TEXT, *BYTE_SYMBOLS, *(CONTINUES + symbol for symbol in BYTE_SYMBOLS)]
        trainer = trainers.WordPieceTrainer(
            vocab_size=size_to_learn("WordPiece", vocab_size, MIN_VOCAB_SIZE),
            special_tokens=first,
            continuing_subword_prefix=CONTINUES,
            show_progress=False,
        )
        learner = tokenizers.Tokenizer(models.WordPiece(unk_token=END_OF_TEXT))
        learner.pre_tokenizer = _splitter()
        ids = learn("WordPiece", learner, trainer, texts, vocab_size)["vocab"]
        return cls(sorted(ids, key=ids.__getitem__))

    def to_dict(self) -> dict[str, Any]:
        """See ``Tokenizer``."""
        return {"format": 1, "kind": self.kind, "tokens": self._tokens}


def _splitter() -> pre_tokenizers.PreTokenizer:
    """Words as GPT-2 splits them, none longer than ``LONGEST_WORD``."""
    return pre_tokenizers.Sequence(
        [pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.FixedLength(LONGEST_WORD)]
    )
