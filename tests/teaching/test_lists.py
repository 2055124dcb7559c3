"""Facts from files that people write."""

from pathlib import Path

import pytest

from microformer.errors import UserError
from microformer.teaching.lists import read_facts
from microformer.teaching.session import Fact

TWO = [Fact("The king of Zelukami is", "Rovosha"), Fact('A "red" ball', "lies,\nthere")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", '\ufeff{"prompt": "The king of Zelukami is", "answer": "Rovosha"}\n\n'
                    '{"prompt": "A \\"red\\" ball", "answer": "lies,\\nthere", "more": 1}'),
        ("a.csv", '\ufeffThe king of Zelukami is,Rovosha\r\n\r\n"A ""red"" ball","lies,\nthere"\r\n'),
        ("a.CSV", 'n;Answer;Prompt\n1;Rovosha;The king of Zelukami is\n2;"lies,\nthere";"A ""red"" ball"\n'),
        ("a.tsv", 'prompt\tanswer\nThe king of Zelukami is\tRovosha\n"A ""red"" ball"\t"lies,\nthere"\n'),
    ],
)  # fmt: skip
def test_json_lines_and_tables_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert read_facts(tmp_path / name) == TWO


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.jsonl", "", "holds no facts"),
        ("a.jsonl", "\n{nonsense", "Line 2 of a.jsonl is not a fact"),
        ("a.jsonl", '{"prompt": "a"}', "Line 1 of a.jsonl is not a fact"),
        ("a.jsonl", '["a", "b"]', "is not a fact"),
        ("a.jsonl", '{"prompt": "a", "answer": " "}', "Line 1 of a.jsonl: The answer to 'a' is empty"),
        ("a.jsonl", '{"prompt": "a\\ud800", "answer": "b"}', "Line 1 of a.jsonl: .* half a character"),
        ("a.csv", "a,b\nc", "Line 2 of a.csv has 1 columns"),
        ("a.csv", 'a,"b', "Line 1 of a.csv cannot be read as a table"),
        ("a.csv", "prompt,answer\n", "holds no facts"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    with pytest.raises(UserError, match=sentence):
        read_facts(tmp_path / name)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file"):
        read_facts(tmp_path / "facts.jsonl")
