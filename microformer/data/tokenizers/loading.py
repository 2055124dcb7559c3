"""Tokenizers from files: the program's own, checked to the last value, and those of Hugging Face's library."""

from pathlib import Path
from typing import Any

from microformer.data.tokenizers.base import DOCUMENT_END, Tokenizer
from microformer.data.tokenizers.bpe import BPETokenizer
from microformer.data.tokenizers.byte import ByteTokenizer
from microformer.data.tokenizers.char import MAX_CHARACTERS, CharTokenizer
from microformer.data.tokenizers.foreign import MAX_BYTES, translate
from microformer.data.tokenizers.wordpiece import WordPieceTokenizer
from microformer.errors import UserError
from microformer.files import read_json

ASSETS = Path(__file__).parents[3] / "assets"


def load_tokenizer(path: Path | str) -> Tokenizer:
    """The tokenizer in a JSON file: the program's own, or a byte-level BPE of the ``tokenizers`` library (GPT-2's).

    Nothing in the file can run code or take long: the program's own format is plain lists that are checked, and a
    foreign file is read by a child process with limits. ``UserError`` says what is wrong with a file.
    """
    path = Path(path)
    plain = read_json(path, MAX_BYTES)
    if isinstance(plain, dict) and "kind" not in plain and "model" in plain:
        plain = translate(path)
    try:
        return from_dict(plain)
    except ValueError as error:
        raise UserError(f"{path.name} is not a tokenizer that can be used: {error}.") from None


def from_dict(plain: Any) -> Tokenizer:
    """The tokenizer that ``Tokenizer.to_dict`` described; ``ValueError`` for anything else."""
    if not isinstance(plain, dict) or plain.get("format") != 1:
        raise ValueError("it is neither a Microformer tokenizer nor a Hugging Face tokenizers file")
    kind = plain.get("kind")
    if kind == "byte":
        return ByteTokenizer()
    if kind == "char":
        return _char(plain.get("characters"))
    if kind == "bpe":
        return _bpe(plain)
    if kind == "wordpiece":
        return WordPieceTokenizer(_tokens(plain))
    raise ValueError(f"its kind is {str(kind)[:40]!r}, but known are char, byte, bpe and wordpiece")


def find_tokenizer(given: str) -> Path:
    """The tokenizer file meant by a path: the file itself, or the one of a dataset, run or checkpoint directory.

    ``starter`` is the starter model's. Raises ``UserError`` where there is none.
    """
    path = ASSETS / "starter" if given == "starter" else Path(given)
    if path.is_file():
        return path
    for directory in (path, *path.resolve().parents[:2]):  # a checkpoint lies two levels below its run
        if path.is_dir() and (directory / "tokenizer.json").is_file():
            return directory / "tokenizer.json"
    what = "a folder without a tokenizer.json" if path.is_dir() else "not there"
    raise UserError(
        f"The tokenizer {given} is {what}; give char, byte, bpe, wordpiece, a tokenizer.json, or the folder of a "
        "dataset or run."
    )


def _char(characters: Any) -> CharTokenizer:
    if not isinstance(characters, str) or len(characters) > MAX_CHARACTERS:
        raise ValueError("its characters are not a text of at most 100,000")
    if len(set(characters)) < len(characters) or DOCUMENT_END in characters:
        raise ValueError("it has the same character twice, or a NUL")
    try:
        characters.encode()
    except UnicodeEncodeError:
        raise ValueError("it has half a character (a lone surrogate)") from None
    return CharTokenizer(characters)


def _bpe(plain: dict[str, Any]) -> BPETokenizer:
    merges = plain.get("merges")
    if not isinstance(merges, list) or not all(_is_pair(pair) for pair in merges):
        raise ValueError("its merges are not a list of pairs of texts")
    return BPETokenizer(
        _tokens(plain),
        [(left, right) for left, right in merges],
        splitter=str(plain.get("splitter")),
        nfc=plain.get("nfc") is True,
        whole_words=plain.get("whole_words") is True,
    )


def _tokens(plain: dict[str, Any]) -> list[str]:
    tokens = plain.get("tokens")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ValueError("its tokens are not a list of texts")
    return tokens


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)
