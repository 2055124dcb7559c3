"""From text to a dataset: nothing is lost, everything is counted, and it is whole or not there."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from microformer.data import prepare as prepare_module
from microformer.data.datasets import Dataset
from microformer.data.info import DatasetInfo
from microformer.data.prepare import prepare
from microformer.errors import UserError

WORDS = ["the", "red", "ball", "is", "in", "a", "kitchen", "Mia", "took", "it", "home", "and", "Zoë", "slept", "café"]


def _text(seed: int = 1, words: int = 3000) -> str:
    """Seeded sentences of seven words, one to a line."""
    drawn = np.random.default_rng(seed).choice(WORDS, words)
    return "".join(word + ("\n" if place % 7 == 6 else " ") for place, word in enumerate(drawn.tolist()))


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_text(_text(), encoding="utf-8")
    return path


@pytest.mark.parametrize(("kind", "vocab_size"), [("char", None), ("byte", None), ("bpe", 300), ("bpe", None)])
def test_the_tokens_of_both_splits_are_the_text(
    kind: str, vocab_size: int | None, text_file: Path, tmp_path: Path
) -> None:
    info = prepare(text_file, kind, tmp_path / "out", vocab_size=vocab_size)
    dataset = Dataset.open(tmp_path / "out")
    text = text_file.read_text(encoding="utf-8")
    assert dataset.tokenizer.decode(dataset.train) + dataset.tokenizer.decode(dataset.val) == text
    assert dataset.val[-1] == dataset.tokenizer.end_id
    assert (info.characters, info.bytes, info.documents) == (len(text), len(text.encode()), 1)
    assert (info.train_tokens, info.val_tokens) == (len(dataset.train), len(dataset.val))
    assert info.val_bytes == dataset.val_bytes == len(dataset.tokenizer.decode(dataset.val).encode())
    assert abs(info.val_bytes / info.bytes - 0.1) < 0.01
    assert info == dataset.info and info.dtype == "uint16" and info.vocab_size == dataset.tokenizer.vocab_size
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "dataset.json",
        "tokenizer.json",
        "train.npy",
        "val.npy",
    ]


def test_all_tokenizers_are_measured_on_the_same_validation_text(text_file: Path, tmp_path: Path) -> None:
    sizes = {prepare(text_file, kind, tmp_path / kind).val_bytes for kind in ("char", "byte", "bpe")}
    assert len(sizes) == 1


def test_better_counting_predicts_the_validation_text_better(text_file: Path, tmp_path: Path) -> None:
    baselines = prepare(text_file, "char", tmp_path / "out").baselines
    bits = [baselines[name].bits_per_byte for name in ("uniform", "unigram", "bigram")]
    assert bits == sorted(bits, reverse=True) and 0 < bits[2] < 3
    assert baselines["uniform"].loss == pytest.approx(np.log(Dataset.open(tmp_path / "out").tokenizer.vocab_size))


def test_rows_are_documents_with_the_end_between_them(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [_text(seed, 14) for seed in range(60)]
    path.write_text("\n".join(json.dumps({"text": row}) for row in rows), encoding="utf-8")
    info = prepare(path, "char", tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    ids = np.concatenate([dataset.train, dataset.val])
    ends = np.flatnonzero(ids == dataset.tokenizer.end_id)
    assert info.documents == len(ends) == 60 and dataset.train[-1] == dataset.tokenizer.end_id
    starts = [0, *(ends[:-1] + 1)]
    assert [dataset.tokenizer.decode(ids[a:b]) for a, b in zip(starts, ends, strict=True)] == rows


def test_a_validation_file_takes_the_place_of_the_last_tenth(text_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(_text(2, 200) + "Ünseen", encoding="utf-8")
    prepare([text_file], "char", tmp_path / "out", val=other)
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.tokenizer.decode(dataset.train) == text_file.read_text(encoding="utf-8")
    assert dataset.tokenizer.decode(dataset.val) == other.read_text(encoding="utf-8")
    assert len(dataset.val) == len(other.read_text(encoding="utf-8")) + 1  # its characters are in the vocabulary


def test_the_tokenizer_of_another_dataset_can_be_used(text_file: Path, tmp_path: Path) -> None:
    first = prepare(text_file, "bpe", tmp_path / "first", vocab_size=300)
    second = prepare(text_file, str(tmp_path / "first"), tmp_path / "second")
    assert (first.tokenizer_hash, first.sha256["train.npy"]) == (second.tokenizer_hash, second.sha256["train.npy"])
    with pytest.raises(UserError, match="exists already"):
        prepare(text_file, str(tmp_path / "first"), tmp_path / "third", vocab_size=400)


def test_the_card_tells_what_is_in_the_text(text_file: Path, tmp_path: Path) -> None:
    info = prepare(text_file, "char", tmp_path / "out", name="My story", clock=lambda: 12.5)
    assert (info.name, info.source, info.created, info.seed) == ("My story", "story.txt", 12.5, None)
    assert info.preview == text_file.read_text(encoding="utf-8")[:2000]
    counts = [count for _, count in info.frequent]
    assert counts == sorted(counts, reverse=True) and info.frequent[0][0] == "␣"
    assert "by heart" in info.warning and info.characters_per_token == pytest.approx(1, abs=0.01)


def test_progress_goes_forward_to_the_end(text_file: Path, tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    prepare(text_file, "bpe", tmp_path / "out", progress=lambda fraction, text: told.append((fraction, text)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and all(text for _, text in told)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"\(story\.txt\) is empty; at least 200"),
        ("One line.\nAnother.\nA third.\n", "only 28 characters; at least 200"),
    ],
)
def test_too_little_text_is_refused_and_leaves_nothing(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "story.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        prepare(path, "char", tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["story.txt"]


def test_text_that_makes_too_few_tokens_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "story.txt"
    path.write_text("the same words again " * 20, encoding="utf-8")
    with pytest.raises(UserError, match="tokens to train on"):
        prepare(path, "bpe", tmp_path / "out")


def test_a_folder_that_is_no_dataset_is_never_replaced(text_file: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(UserError, match="is not a dataset"):
        prepare(text_file, "char", tmp_path / "precious")
    assert (tmp_path / "precious" / "thesis.txt").exists()


def test_a_dataset_is_replaced_only_by_a_whole_one(text_file: Path, tmp_path: Path) -> None:
    prepare(text_file, "char", tmp_path / "out", name="first")

    class Cancelled(Exception):
        pass

    def cancel(fraction: float, text: str) -> None:
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        prepare(text_file, "byte", tmp_path / "out", name="second", progress=cancel)
    assert DatasetInfo.read(tmp_path / "out").name == "first"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out", "story.txt"]
    prepare(text_file, "byte", tmp_path / "out", name="second")
    assert DatasetInfo.read(tmp_path / "out").name == "second"


def test_a_full_disk_ends_in_a_sentence_and_leaves_nothing(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(prepare_module, "_write_header", full)
    with pytest.raises(UserError, match="disk is full"):
        prepare(text_file, "char", tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["story.txt"]


def test_token_ids_past_16_bits_are_stored_in_32(tmp_path: Path) -> None:
    path = tmp_path / "all.txt"
    every = "".join(map(chr, [*range(0x20, 0xD800), *range(0xE000, 0x12000)]))
    path.write_text(every, encoding="utf-8")
    info = prepare(path, "char", tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert info.dtype == "uint32" and info.vocab_size > 2**16
    assert dataset.tokenizer.decode(np.concatenate([dataset.train, dataset.val])) == every.replace("\r", "\n")


def test_the_same_text_gives_the_same_files(text_file: Path, tmp_path: Path) -> None:
    assert prepare(text_file, "bpe", tmp_path / "a").sha256 == prepare(text_file, "bpe", tmp_path / "b").sha256


def test_tiny_tales_are_made_on_the_spot_from_size_and_seed(tmp_path: Path) -> None:
    info = prepare("tales", "char", tmp_path / "a", size="100KB", seed=3)
    again = prepare("tales", "char", tmp_path / "b", size="100KB", seed=3)
    other = prepare("tales", "char", tmp_path / "c", size="100KB", seed=4)
    assert info.sha256 == again.sha256 != other.sha256
    assert (info.source, info.seed, info.size) == ("tales", 3, 100_000)
    assert abs(info.bytes / 100_000 - 1) < 0.05 and info.documents > 50
