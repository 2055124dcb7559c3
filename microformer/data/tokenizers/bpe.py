"""Byte-level BPE (Sennrich et al. 2016; Radford et al. 2019), trained and run by the ``tokenizers`` library.

Text is first split into words by a pattern; then, inside each word, the pair of tokens that was merged earliest in
training is merged again and again. All 256 bytes are tokens, so any text can be encoded.
"""

import json
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from microformer.data.tokenizers.base import DOCUMENT_END, END_ID, END_OF_TEXT, Tokenizer, valid_text
from microformer.data.tokenizers.words import WordEncoder
from microformer.errors import UserError

DEFAULT_VOCAB_SIZE = 1024
MIN_VOCAB_SIZE = 257
MAX_VOCAB_SIZE = 300_000

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# The ways of splitting text into words that are known here, by the model that made each known. A foreign tokenizer
# file may use these and no others: an unknown regular expression could take for ever.
SPLITTERS: dict[str, str | None] = {
    "gpt2": None,  # the pattern built into the ByteLevel component
    "digits": None,  # the same after cutting numbers into digits (SmolLM, StarCoder)
    "llama3": _CONTRACTIONS + r"|\p{N}{1,3}" + _REST,
    "qwen2": _CONTRACTIONS + r"|\p{N}" + _REST,
}


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


class BPETokenizer(Tokenizer):
    """Byte-level BPE with ``<|endoftext|>`` as token 0."""

    kind = "bpe"

    def __init__(
        self,
        tokens: list[str],
        merges: list[tuple[str, str]],
        *,
        splitter: str = "gpt2",
        nfc: bool = False,
        whole_words: bool = False,
    ) -> None:
        """Build it from its parts, which may come from anywhere: ``ValueError`` says what is wrong with them.

        ``tokens`` are spelled with GPT-2's byte symbols, in the order of their ids, ``<|endoftext|>`` first.
        ``nfc``: bring text into Unicode's composed form first (text in another form does then not come back exactly).
        ``whole_words``: take a word that is itself a token as it is, without looking at the merges.
        """
        _check_parts(tokens, merges, splitter)
        self._tokens, self._merges = tokens, merges
        self._splitter, self._nfc, self._whole_words = splitter, nfc, whole_words
        super().__init__([b"", *(bytes(BYTE_OF_SYMBOL[symbol] for symbol in token) for token in tokens[1:])])
        vocabulary = {token: index for index, token in enumerate(tokens)}
        self._backend = tokenizers.Tokenizer(models.BPE(vocabulary, merges, ignore_merges=whole_words))
        self._backend.pre_tokenizer = _pre_tokenizer(splitter)
        self._words = WordEncoder(self._encode_pieces)
        self._nul = vocabulary[BYTE_SYMBOLS[0]]

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int | None = None) -> "BPETokenizer":
        """Learn ``vocab_size`` tokens from texts (documents ended by ``DOCUMENT_END`` are told apart).

        Without a ``vocab_size``, it is ``DEFAULT_VOCAB_SIZE``, or as many as the texts support.
        """
        wanted = wanted_size("BPE", vocab_size, MIN_VOCAB_SIZE)
        learner = tokenizers.Tokenizer(models.BPE())
        learner.pre_tokenizer = _pre_tokenizer("gpt2")
        trainer = trainers.BpeTrainer(
            vocab_size=wanted,
            special_tokens=[END_OF_TEXT],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        learner.train_from_iterator(documents(texts), trainer)
        learned = json.loads(learner.to_str())["model"]
        tokens = sorted(learned["vocab"], key=lambda token: learned["vocab"][token])
        refuse_too_few("BPE", len(tokens), vocab_size)
        return cls(tokens, [(left, right) for left, right in learned["merges"]])

    def encode_array(self, text: str) -> np.ndarray:
        """See ``Tokenizer``."""
        ids = self.encode_documents(text)
        ids[ids == END_ID] = self._nul  # a NUL that somebody typed is a byte like any other
        return ids

    def encode_documents(self, text: str) -> np.ndarray:
        """See ``Tokenizer``."""
        text = valid_text(text)
        return self._words.encode(unicodedata.normalize("NFC", text) if self._nfc else text)

    def to_dict(self) -> dict[str, Any]:
        """See ``Tokenizer``."""
        return {
            "format": 1,
            "kind": self.kind,
            "splitter": self._splitter,
            "nfc": self._nfc,
            "whole_words": self._whole_words,
            "tokens": self._tokens,
            "merges": [list(pair) for pair in self._merges],
        }

    def _encode_pieces(self, pieces: list[str]) -> list[list[int]]:
        return [encoded.ids for encoded in self._backend.encode_batch_fast(pieces, add_special_tokens=False)]


def _pre_tokenizer(splitter: str) -> pre_tokenizers.PreTokenizer:
    if splitter == "gpt2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    pattern = SPLITTERS[splitter]
    if pattern is None:
        return pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def wanted_size(kind: str, vocab_size: int | None, least: int) -> int:
    """The vocabulary size to learn; ``UserError`` for one that cannot be."""
    wanted = DEFAULT_VOCAB_SIZE if vocab_size is None else vocab_size
    if not least <= wanted <= MAX_VOCAB_SIZE:
        raise UserError(f"A {kind} vocabulary has {least} to {MAX_VOCAB_SIZE:,} tokens, not {wanted:,}.")
    return wanted


def refuse_too_few(kind: str, found: int, vocab_size: int | None) -> None:
    """Raise ``UserError`` where a text gave fewer tokens than were asked for."""
    if vocab_size is not None and found < vocab_size:
        raise UserError(
            f"The text supports at most {found:,} {kind} tokens, not {vocab_size:,}; choose a vocabulary of {found:,} "
            "or less, or more text."
        )


def documents(texts: Iterable[str]) -> Iterator[str]:
    """The documents that blocks of text hold, for a trainer."""
    for text in texts:
        yield from valid_text(text).split(DOCUMENT_END)


def _check_parts(tokens: list[str], merges: list[tuple[str, str]], splitter: str) -> None:
    """Refuse what the library would stumble over, and what could not encode every text."""
    if splitter not in SPLITTERS:
        raise ValueError(f"it splits text in a way called {splitter!r}, but known are {', '.join(SPLITTERS)}")
    if not tokens or tokens[0] != END_OF_TEXT:
        raise ValueError(f"its first token is not {END_OF_TEXT}")
    if len(tokens) > MAX_VOCAB_SIZE:
        raise ValueError(f"it has {len(tokens):,} tokens, more than {MAX_VOCAB_SIZE:,}")
    known = set(tokens)
    if len(known) < len(tokens):
        raise ValueError("it has the same token twice")
    for token in tokens[1:]:
        if not token or not BYTE_OF_SYMBOL.keys() >= set(token):
            raise ValueError(f"its token {token[:40]!r} is not spelled in bytes")
    if missing := BYTE_OF_SYMBOL.keys() - known:
        raise ValueError(f"it lacks {len(missing)} of the 256 bytes, so it cannot encode every text")
    for left, right in merges:
        if left not in known or right not in known or left + right not in known or END_OF_TEXT in (left, right):
            raise ValueError(f"it merges {left[:40]!r} and {right[:40]!r}, which are not tokens of its own")
        if left + right == END_OF_TEXT:
            raise ValueError(f"it merges ordinary tokens to {END_OF_TEXT}")
