"""The text that waits to be encoded: cut, sampled and read in blocks, it is the same text."""

from pathlib import Path

import pytest

from microformer.data import spool as spool_module
from microformer.data.reading import Piece
from microformer.data.spool import Spool
from microformer.data.tokenizers import build_tokenizer


def _spool(path: Path, documents: list[str]) -> Spool:
    spool = Spool(path / "text")
    spool.fill(Piece(part, ends) for document in documents for part, ends in ((document, False), ("", True)))
    return spool


def test_counts_leave_out_the_marks_between_documents(tmp_path: Path) -> None:
    spool = _spool(tmp_path, ["Łódź", "", "two"])
    assert (spool.documents, spool.characters, spool.bytes) == (2, 7, 10)
    assert "".join(spool.blocks()) == "Łódź\0two\0"


def test_a_last_document_without_an_end_is_ended(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "text")
    spool.fill([Piece("one ", False), Piece("document", False)])
    assert "".join(spool.blocks()) == "one document\0"


@pytest.mark.parametrize("text", ["the café is open. " * 400, "Łódź" * 2000, "日本語" * 999 + "\n"])
def test_blocks_of_any_part_join_to_it_and_encode_as_a_whole(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_BLOCK", 1000)
    spool = _spool(tmp_path, [text, text[::-1]])
    cut = spool.cut(0.6)
    whole = (text + "\0" + text[::-1] + "\0").encode()
    assert "".join(spool.blocks(0, cut)).encode() == whole[:cut]
    assert "".join(spool.blocks(cut)).encode() == whole[cut:]
    assert len(list(spool.blocks())) > 3
    if " " in text:  # without a space there is no place to cut that surely changes nothing
        tokenizer = build_tokenizer("bpe", [text])
        parts = [token for block in spool.blocks() for token in tokenizer.encode_documents(block).tolist()]
        assert parts == tokenizer.encode_documents(whole.decode()).tolist()


def test_the_cut_prefers_a_documents_end_then_a_line_then_a_character(tmp_path: Path) -> None:
    many = _spool(tmp_path, ["Some words in a short document."] * 100)
    cut = many.cut(0.9)
    assert "".join(many.blocks(0, cut)).endswith("\0") and abs(cut - 0.9 * many.file_bytes) < 32
    lines = _spool(tmp_path, ["a line of text\n" * 1000])
    assert "".join(lines.blocks(0, lines.cut(0.9))).endswith("text\n")
    one = _spool(tmp_path, ["日" * 1001])
    assert len("".join(one.blocks(0, one.cut(0.9)))) + len("".join(one.blocks(one.cut(0.9)))) == 1002


def test_a_sample_comes_from_everywhere_in_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "_BUFFER", 300)
    spool = _spool(tmp_path, ["日" * 1000, "é" * 1000, "z" * 1000])
    sample = "".join(spool.sample(1500))
    assert {"日", "é", "z"} <= set(sample)
    assert 1400 < len(sample.encode()) < 1600
    assert "".join(spool.sample(10**9)) == "".join(spool.blocks())
