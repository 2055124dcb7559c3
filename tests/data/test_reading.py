"""Files as people have them become documents, or a sentence that names the line."""

import json
from pathlib import Path

import pytest

from microformer.data.reading import Piece, read_files
from microformer.errors import UserError


def _documents(*paths: Path, limit: int | None = None) -> list[str]:
    documents, rest = [], ""
    for piece in read_files(list(paths), limit, lambda done: None):
        rest += piece.text
        if piece.ends:
            documents.append(rest)
            rest = ""
    return [*documents, rest] if rest else documents


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        "Zoë\nŁódź\n".encode(),
        "\ufeffZoë\nŁódź\n".encode(),
        b"\xff\xfe" + "Zoë\nŁódź\n".encode("utf-16-le"),
        b"\xfe\xff" + "Zoë\nŁódź\n".encode("utf-16-be"),
        "Zoë\r\nŁódź\r\n".encode(),
        "Zoë\rŁódź\r".encode(),
    ],
)
def test_encodings_and_line_ends_make_no_difference(data: bytes, tmp_path: Path) -> None:
    assert _documents(_write(tmp_path / "a.txt", data)) == ["Zoë\nŁódź\n"]


def test_each_file_and_each_row_is_a_document(tmp_path: Path) -> None:
    text = _write(tmp_path / "a.md", b"one")
    rows = [json.dumps({"text": "two\r\nlines", "id": 7}), "", json.dumps("three\u0000")]
    lines = _write(tmp_path / "b.JSONL", "\n".join(rows).encode())
    assert _documents(text, lines) == ["one", "two\nlines", "three"]


def test_reading_stops_at_the_limit_and_tells_how_far_it_is(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.jsonl", b'"0123456789"\n' * 100)
    told: list[float] = []
    pieces = list(read_files([path], 55, told.append))
    assert pieces == [Piece("0123456789", True)] * 6
    assert told == sorted(told) and told[-1] == 1.0


def test_a_text_is_cut_at_the_limit(tmp_path: Path) -> None:
    first, second = (_write(tmp_path / name, b"0123456789" * 100) for name in ("a.txt", "b.txt"))
    assert list(read_files([first, second], 25, lambda done: None)) == [Piece("0123456789" * 2 + "01234", False)]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.txt", "Zoë".encode("latin-1"), r"a\.txt is not UTF-8 text \(it has the byte 0xeb\)"),
        ("a.txt", b"\x7fELF\x02\x01\x01\x00\x00", "NUL bytes"),
        ("a.txt", b"\xe9\xff\x00\x80" * 100, "NUL bytes"),
        ("a.txt", b"text " * 2_000_000 + b"\0", "NUL bytes"),
        ("a.txt", b"\xff\xfea", "UTF-8"),
        ("a.pdf", b"%PDF", r"\.txt, \.md, \.jsonl or \.csv"),
        ("a.jsonl", b'"fine"\n{"text": ', r"Line 2 of a\.jsonl is not JSON"),
        ("a.jsonl", b'{"text": 7}', r"Line 1 of a\.jsonl has no text"),
        ("a.jsonl", b'{"content": "x"}', r"Line 1 of a\.jsonl has no text"),
    ],
)
def test_what_is_not_text_gets_one_sentence(name: str, data: bytes, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        _documents(_write(tmp_path / name, data))


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microformer.data.row_files.MAX_LINE_CHARACTERS", 50)
    for name, head in (("a.jsonl", ""), ("a.csv", "text\n")):
        path = _write(tmp_path / name, f"{head}{json.dumps('x' * 40)}\n{json.dumps('y' * 60)}\n".encode())
        with pytest.raises(UserError, match=r"has a line of more than 50 characters"):
            _documents(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no file"):
        _documents(tmp_path / "nothing.txt")
    with pytest.raises(UserError, match="is a folder"):
        _documents(tmp_path)


def test_mixed_encodings_in_one_file_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.txt", "good: é, ".encode() * 1000 + "bad: é".encode("latin-1"))
    with pytest.raises(UserError, match="is not UTF-8"):
        _documents(path)
