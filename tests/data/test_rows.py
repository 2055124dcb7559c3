"""Rows with answers: read from files, kept with their texts, and handed out so that a resume is exact."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microformer.data.datasets import Dataset
from microformer.data.prepare import prepare
from microformer.errors import UserError

WORDS = ["quick", "brown", "foxes", "jump", "over", "a", "lazy", "dog", "and", "rest"] * 2


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def labelled(count: int = 40) -> list[dict[str, Any]]:
    return [
        {"text": f"{number} " + " ".join(WORDS[: 1 + number % 19]), "label": "ab"[number % 2]}
        for number in range(count)
    ]


def opened(tmp_path: Path, rows: list[Any]) -> Dataset:
    prepare([lines(tmp_path / "rows.jsonl", rows)], "char", tmp_path / "made")
    return Dataset.open(tmp_path / "made")


def texts(dataset: Dataset, split: str) -> list[str]:
    rows = dataset.val_rows if split == "val" else dataset.train_rows
    ends = rows.texts.offsets
    return [dataset.tokenizer.decode(rows.texts.tokens[a:b].tolist()) for a, b in itertools.pairwise(ends)]


def test_labels_stay_with_their_texts_and_every_tenth_row_validates(tmp_path: Path) -> None:
    given = labelled()
    dataset = opened(tmp_path, given)
    assert dataset.kind == "labelled" and dataset.info.labels == ["a", "b"]
    assert texts(dataset, "val") == [row["text"] for row in given[9::10]]
    rest = [row for number, row in enumerate(given, start=1) if number % 10]
    assert texts(dataset, "train") == [row["text"] for row in rest]
    assert [dataset.info.labels[one] for one in dataset.train_rows.labels] == [row["label"] for row in rest]
    assert dataset.info.label_counts == [20, 16] and dataset.info.guess == 0.0  # every tenth row is a b


def test_csv_and_json_lines_make_the_same_dataset(tmp_path: Path) -> None:
    given = labelled()
    prepare([lines(tmp_path / "rows.jsonl", given)], "byte", tmp_path / "json")
    table = "label;other;Text\r\n" + "".join(f'{row["label"]};1;"{row["text"]}"\r\n' for row in given)
    (tmp_path / "rows.csv").write_text(table, encoding="utf-8-sig", newline="")
    prepare([tmp_path / "rows.csv"], "byte", tmp_path / "csv")
    for name in ("train.npy", "train.offsets.npy", "train.labels.npy", "val.npy", "val.labels.npy"):
        assert (tmp_path / "json" / name).read_bytes() == (tmp_path / "csv" / name).read_bytes()


def test_pairs_and_values_are_kept(tmp_path: Path) -> None:
    pairs = [{"source": f"what is {n} and {n}?", "target": f"it is {2 * n}"} for n in range(30)]
    rows = opened(tmp_path, pairs).train_rows
    assert rows.targets is not None and len(rows.targets) == len(rows) == 27
    first = rows.targets.tokens[: rows.targets.offsets[1]].tolist()
    assert opened(tmp_path, pairs).tokenizer.decode(first) == "it is 0"
    values = [{"text": f"this is the number {n}", "value": str(n / 2) if n % 3 else n / 2} for n in range(30)]
    found = opened(tmp_path, values).train_rows.values
    assert found is not None and found.tolist() == [n / 2 for n in range(30) if (n + 1) % 10]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.jsonl", '{"text": "x", "label": "y", "value": 3}', r"Line 1 of a\.jsonl has text and label, but also"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n{"source": "x", "target": "y"}', "Line 2 .* source and target"),
        ("a.jsonl", '{"text": "x"}\n{"text": "x", "label": "y"}', r"Line 2 .* are plain text"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n{"text": "x"}', "Line 2 .* has no label"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n{"text": " ", "label": "z"}', "Line 2 .* has an empty text"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n"z"', "Line 2 .* is only a text"),
        ("a.jsonl", '{"text": 3, "label": "y"}', "Line 1 .* has 3 as its text"),
        ("a.jsonl", '{"text": "x", "value": "many"}', "Line 1 .* has 'many' as its value"),
        ("a.jsonl", '{"text": "x", "value": NaN}', "Line 1 .* must be a number"),
        ("a.jsonl", '{"text": "x", "value": 1' + "0" * 400 + "}", "Line 1 .* must be a number"),
        ("a.jsonl", '{"text": "x", "value": -1e200}', "Line 1 .* must be a number between"),
        ("a.csv", "review,stars\nnice,5", r"The first line of a\.csv must name its columns"),
        ("a.csv", "text,value\nnice,5\nbad,", "Line 3 .* has no value"),
        ("a.csv", 'text,label\n"nice,good', r"Line 2 of a\.csv is not well-formed CSV"),
        ("a.jsonl", '{"text": "x", "label": "y"}', "only 1 rows; at least 10"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n' * 20, "Every row has the label 'y'"),
    ],
)
def test_what_is_wrong_with_rows_gets_one_sentence(name: str, content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=sentence):
        prepare([tmp_path / name], "byte", tmp_path / "made")


def test_a_label_with_one_example_is_named(tmp_path: Path) -> None:
    info = prepare(
        [lines(tmp_path / "a.jsonl", [*labelled(), {"text": "odd", "label": "c"}])], "byte", tmp_path / "made"
    )
    assert "'c' has a single example" in info.warning


def test_every_row_comes_once_in_an_epoch_with_others_of_its_length(tmp_path: Path) -> None:
    rows = opened(tmp_path, labelled(400)).train_rows
    drawn = [rows.drawn(8, seed=1, step=step) for step in range(1, 46)]
    assert sorted(np.concatenate(drawn)) == list(range(360))
    spread = [np.ptp(rows.sizes[some]) for some in drawn]
    assert np.mean(spread) < 5 < np.ptp(rows.sizes) / 5
    again = opened(tmp_path, labelled(400)).train_rows
    assert np.array_equal(again.drawn(8, seed=1, step=50), rows.drawn(8, seed=1, step=50))
    assert not np.array_equal(rows.drawn(8, seed=1, step=1), rows.drawn(8, seed=2, step=1))
    assert sorted(np.concatenate(list(rows.in_order(7)))) == list(range(360))


def test_rows_are_padded_marked_and_cut(tmp_path: Path) -> None:
    dataset = opened(tmp_path, labelled())
    rows, end = dataset.train_rows, dataset.tokenizer.end_id
    tokens, lengths = rows.texts.padded(np.array([0, 17]), 40, end)
    decode = dataset.tokenizer.decode
    assert tokens.shape == (2, 40) and lengths.tolist() == [len("0 quick") + 2, 40]
    assert decode(tokens[0].tolist()) == "0 quick" and int(tokens[0, 0]) == int(tokens[0, 8]) == end
    assert decode(tokens[1].tolist()) == texts(dataset, "train")[17][:38] and int(tokens[1, -1]) == end
    assert rows.longer_than(40) == sum(len(text) > 38 for text in texts(dataset, "train"))


def test_a_damaged_dataset_is_told(tmp_path: Path) -> None:
    dataset = opened(tmp_path, labelled())
    np.save(dataset.directory / "train.labels.npy", np.zeros(3, np.int64))
    with pytest.raises(UserError, match=r"train\.labels\.npy does not fit"):
        _ = dataset.train_rows
