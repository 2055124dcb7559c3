"""Files appear whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from microformer.errors import UserError
from microformer.files import (
    append_json_line,
    directory_written_whole,
    json_lines_of,
    read_json,
    read_json_lines,
    read_text,
    read_yaml,
    write_json,
    write_text,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_half_characters_become_question_marks(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "Zo\ud800"})
    append_json_line(tmp_path / "a.jsonl", "Zo\ud800")
    assert read_json(tmp_path / "a.json") == {"name": "Zo?"}
    assert read_json_lines(tmp_path / "a.jsonl")[0] == ["Zo?"]


def test_the_folder_one_is_in_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="give the name of a new folder"), directory_written_whole(Path()):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_fails_half_way_vanishes(tmp_path: Path) -> None:
    target = tmp_path / "whole"

    def write_half() -> None:
        with directory_written_whole(target) as beside:
            (beside / "first").write_text("1")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_exists_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "whole"
    for text in ("1", "2"):
        with directory_written_whole(target) as beside:
            (beside / text).write_text(text)
    assert [file.name for file in target.iterdir()] == ["2"]
    assert [file.name for file in tmp_path.iterdir()] == ["whole"]


def test_lines_are_read_from_where_the_last_reading_ended_and_a_torn_one_waits(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    append_json_line(path, {"a": 1})
    rows, place = read_json_lines(path)
    assert rows == [{"a": 1}]
    append_json_line(path, {"a": 2})
    with path.open("a") as file:
        file.write('{"a":')
    rows, place = read_json_lines(path, place)
    assert rows == [{"a": 2}]
    with path.open("a") as file:
        file.write(" 3}\n")
    assert read_json_lines(path, place)[0] == [{"a": 3}]


def test_every_line_of_a_list_is_numbered_and_one_that_is_not_json_has_no_value(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n  \n{nonsense\n"b"')
    assert list(json_lines_of(read_text(tmp_path / "list.jsonl"))) == [(1, {"a": 1}), (4, None), (5, "b")]


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "9" * 5000])
def test_what_is_not_json_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["a: [", "[" * 100_000, "a: 2020-13-45", f"a: {'9' * 5000}", "a: &a [1]\nb: [*a, *a]"])
def test_what_is_not_plain_yaml_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=r"a\.yaml is not valid YAML|refer to a value by \*"):
        read_yaml(tmp_path / "a.yaml")


def test_who_may_read_a_file_or_folder_is_what_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "shared", "1")
        write_text(tmp_path / "own", "1", private=True)
        with directory_written_whole(tmp_path / "folder") as beside:
            (beside / "file").write_text("1")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"shared": 0o640, "own": 0o600, "folder": 0o750}
