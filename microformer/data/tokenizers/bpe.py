"""Byte-level BPE (Sennrich et al. 2016; Radford et al. 2019), trained and run by the ``tokenizers`` library.

Text is first split into words by a pattern; then, inside each word, the pair of tokens that was merged earliest in
training is merged again and again.
"""

import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from microformer.data.tokenizers.base import END_OF_TEXT, valid_text
from microformer.data.tokenizers.byte_level import ByteLevelTokenizer, learn, size_to_learn

MIN_VOCAB_SIZE = 257

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


class BPETokenizer(ByteLevelTokenizer):
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
        super().__init__(tokens)
        _check_merges(merges, set(tokens), splitter)
        self._merges = merges
        self._splitter, self._nfc, self._whole_words = splitter, nfc, whole_words
        self._backend = tokenizers.Tokenizer(models.BPE(self._ids, merges, ignore_merges=whole_words))
        self._backend.pre_tokenizer = _pre_tokenizer(splitter)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int | None = None) -> "BPETokenizer":
        """Learn ``vocab_size`` tokens from texts (documents ended by ``DOCUMENT_END`` are told apart).

        Without a ``vocab_size``, it is ``DEFAULT_VOCAB_SIZE``, or as many as the texts support.
        """
        trainer = trainers.BpeTrainer(
            vocab_size=size_to_learn("BPE", vocab_size, MIN_VOCAB_SIZE),
            special_tokens=[END_OF_TEXT],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        learner = tokenizers.Tokenizer(models.BPE())
        learner.pre_tokenizer = _pre_tokenizer("gpt2")
        learned = learn("BPE", learner, trainer, texts, vocab_size)
        ids = learned["vocab"]
        return cls(sorted(ids, key=ids.__getitem__), [(left, right) for left, right in learned["merges"]])

    def encode_documents(self, text: str) -> np.ndarray:
        """See ``Tokenizer``."""
        return super().encode_documents(unicodedata.normalize("NFC", valid_text(text)) if self._nfc else text)

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


def _check_merges(merges: list[tuple[str, str]], known: set[str], splitter: str) -> None:
    """Refuse what the library would stumble over."""
    if splitter not in SPLITTERS:
        raise ValueError(f"it splits text in a way called {splitter!r}, but known are {', '.join(SPLITTERS)}")
    for left, right in merges:
        if left not in known or right not in known or left + right not in known or END_OF_TEXT in (left, right):
            raise ValueError(f"it merges {left[:40]!r} and {right[:40]!r}, which are not tokens of its own")
        if left + right == END_OF_TEXT:
            raise ValueError(f"it merges ordinary tokens to {END_OF_TEXT}")
