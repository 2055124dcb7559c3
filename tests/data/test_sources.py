"""Sources, their sizes and names; documents of public corpora, without a network."""

from pathlib import Path
from typing import Any

import pytest

from microformer.data.corpora import CORPORA
from microformer.data.reading import Piece
from microformer.data.sources import documents_of_blocks, documents_of_rows, parse_size, read_source, source_name
from microformer.errors import UserError

EVERYTHING: dict[str, Any] = {"seed": 1, "size": 1, "limit": None}


@pytest.mark.parametrize(
    ("text", "size"),
    [("5MB", 5_000_000), ("800 kb", 800_000), ("1.5GB", 1_500_000_000), (4096, 4096), ("20M", 20_000_000)],
)
def test_sizes_are_understood(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "-5MB", "five", "0", "nan", "9999999GB", "5 MB/s"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="5MB"):
        parse_size(text)


@pytest.mark.parametrize("name", ["tinyshakespeare", "tinystories"])
def test_without_a_network_a_public_corpus_names_the_way_out(name: str) -> None:
    with pytest.raises(UserError, match=f"hub:{name} could not be read .* make Tiny Tales"):
        next(read_source(f"hub:{name}", **EVERYTHING))


def test_unknown_corpora_and_no_source_are_refused() -> None:
    with pytest.raises(UserError, match="hub:tinyshakespeare"):
        next(read_source("hub:everything", **EVERYTHING))
    with pytest.raises(UserError, match="no source"):
        read_source([], **EVERYTHING)


def test_each_corpus_is_pinned_to_a_commit() -> None:
    for corpus in CORPORA.values():
        assert len(corpus.revision) == 40 and set(corpus.revision) <= set("0123456789abcdef")
        assert corpus.files and corpus.license and corpus.repository.count("/") == 1


def test_separators_divide_documents_wherever_blocks_end() -> None:
    text = "\none\n<|end|>\ntwo\n<|end|>three\n"
    for size in (1, 3, 100):
        blocks = [text[i : i + size] for i in range(0, len(text), size)]
        assert list(documents_of_blocks(blocks, "<|end|>")) == [Piece(text, True) for text in ("one", "two", "three")]


def test_rows_are_documents_or_parts_of_one() -> None:
    rows = [" = A = \n", "a\n", " = = part = = \n", " = B = \n", "b\n"]
    assert list(documents_of_rows(rows, "")) == [Piece(row, True) for row in rows]
    articles = "".join(piece.text + "|" * piece.ends for piece in documents_of_rows(rows, " = [^=]"))
    assert articles == "| = A = \na\n = = part = = \n| = B = \nb\n"
    assert not any(piece.ends for piece in documents_of_rows(rows, "(?!)"))


def test_sources_are_named_without_their_folders(tmp_path: Path) -> None:
    assert source_name(tmp_path / "a.txt") == "a.txt"
    assert source_name("hub:text8") == "hub:text8"
    assert source_name([str(tmp_path / f"{i}.txt") for i in range(7)]) == "0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 more"
