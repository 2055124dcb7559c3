"""Text to tokens and back: characters, bytes, byte-level BPE or WordPiece, behind one ``Tokenizer``."""

from collections.abc import Iterable

from microformer.data.tokenizers.base import DOCUMENT_END, END_ID, END_OF_TEXT, Tokenizer
from microformer.data.tokenizers.bpe import BPETokenizer
from microformer.data.tokenizers.byte import ByteTokenizer
from microformer.data.tokenizers.char import CharTokenizer
from microformer.data.tokenizers.loading import find_tokenizer, load_tokenizer
from microformer.data.tokenizers.stream import StreamDecoder
from microformer.data.tokenizers.wordpiece import WordPieceTokenizer
from microformer.errors import UserError

__all__ = [
    "DOCUMENT_END",
    "END_ID",
    "END_OF_TEXT",
    "KINDS",
    "LEARNED",
    "StreamDecoder",
    "Tokenizer",
    "build_tokenizer",
    "find_tokenizer",
    "load_tokenizer",
]

LEARNED: dict[str, type[BPETokenizer] | type[WordPieceTokenizer]] = {
    "bpe": BPETokenizer,
    "wordpiece": WordPieceTokenizer,
}
"""Kinds whose vocabulary is learned from text, in a size to choose."""
KINDS = ("char", "byte", *LEARNED)


def build_tokenizer(kind: str, texts: Iterable[str], vocab_size: int | None = None) -> Tokenizer:
    """A new tokenizer made from texts. ``UserError`` says what ``vocab_size`` is possible."""
    if kind not in KINDS:
        raise UserError(f"There is no tokenizer {kind!r}; choose one of {', '.join(KINDS)}, or a file or run.")
    if kind in LEARNED:
        return LEARNED[kind].train(texts, vocab_size)
    if vocab_size is not None:
        raise UserError(
            f"A vocabulary size ({vocab_size}) goes with {' or '.join(LEARNED)} only; a {kind} tokenizer has its own."
        )
    return CharTokenizer.of(texts) if kind == "char" else ByteTokenizer()
