"""Batches and windows are what the split holds, at the right places; what is damaged is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from microformer.data.counting import baselines, token_counts
from microformer.data.datasets import Dataset, open_validation
from microformer.data.prepare import prepare
from microformer.errors import UserError


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    text = "".join(f"Line {number} has its own number, {number * number}.\n" for number in range(100))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    prepare(tmp_path / "text.txt", "char", tmp_path / "data")
    return Dataset.open(tmp_path / "data")


@pytest.mark.parametrize("split", ["train", "val"])
def test_targets_are_the_inputs_one_later_and_come_from_the_split(dataset: Dataset, split: str) -> None:
    x, y = dataset.batch(split, 5, 16, seed=1, step=3)
    assert x.shape == y.shape == (5, 16) and x.dtype == y.dtype == torch.int64
    assert torch.equal(x[:, 1:], y[:, :-1])
    text = dataset.tokenizer.decode(dataset.train if split == "train" else dataset.val)
    for row in x:
        assert dataset.tokenizer.decode(row.tolist()) in text


def test_a_batch_depends_on_seed_and_step_alone(dataset: Dataset) -> None:
    first = dataset.batch("train", 8, 12, seed=1, step=7)[0]
    assert torch.equal(first, Dataset.open(dataset.directory).batch("train", 8, 12, seed=1, step=7)[0])
    assert not torch.equal(first, dataset.batch("train", 8, 12, seed=1, step=8)[0])
    assert not torch.equal(first, dataset.batch("train", 8, 12, seed=2, step=7)[0])


def test_batches_reach_the_first_and_the_last_token(dataset: Dataset) -> None:
    context = len(dataset.val) - 3
    starts = {dataset.batch("val", 1, context, seed=0, step=step)[0][0, :5].tolist().__str__() for step in range(50)}
    assert len(starts) == 3
    x, y = dataset.batch("val", 2, len(dataset.val) - 1, seed=0, step=0)
    assert y[0, -1] == int(dataset.val[-1]) and x[0, 0] == int(dataset.val[0])


def test_a_context_longer_than_the_text_is_refused(dataset: Dataset) -> None:
    with pytest.raises(UserError, match="too long for a text of"):
        dataset.batch("val", 1, len(dataset.val), seed=0, step=0)


@pytest.mark.parametrize("context", [1, 7, 64, 10_000])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_validation_windows_predict_every_token_but_the_first_once(
    dataset: Dataset, context: int, batch_size: int
) -> None:
    windows = list(dataset.validation_windows(context, batch_size))
    assert torch.cat([y.reshape(-1) for _, y in windows]).tolist() == dataset.val[1:].tolist()
    assert torch.cat([x.reshape(-1) for x, _ in windows]).tolist() == dataset.val[:-1].tolist()
    assert all(x.shape == y.shape and x.shape[0] <= batch_size and x.shape[1] <= context for x, y in windows)


def test_seen_tokens_are_those_of_the_text_and_the_end(dataset: Dataset) -> None:
    seen = dataset.seen_tokens()
    assert seen.shape == (dataset.tokenizer.vocab_size,) and seen[dataset.tokenizer.end_id]
    assert set(np.flatnonzero(seen)) == {0, *dataset.train.tolist(), *dataset.val.tolist()}
    assert not seen[dataset.tokenizer.encode("é")].any()


def test_the_validation_split_opens_alone(dataset: Dataset, tmp_path: Path) -> None:
    alone = tmp_path / "starter"
    alone.mkdir()
    for name in ("val.npy", "tokenizer.json"):
        (alone / name).write_bytes((dataset.directory / name).read_bytes())
    opened = open_validation(alone)
    assert opened.val_bytes == dataset.val_bytes
    assert len(list(opened.validation_windows(32, 4))) == len(list(dataset.validation_windows(32, 4)))


def test_missing_and_damaged_files_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no dataset"):
        Dataset.open(tmp_path)
    path = dataset.directory / "val.npy"
    for damage in (b"", b"\x93NUMPY", path.read_bytes()[:-20]):
        path.write_bytes(damage)
        with pytest.raises(UserError, match=r"val\.npy is damaged"):
            Dataset.open(dataset.directory)
    np.save(path, np.array(["a"], object), allow_pickle=True)
    with pytest.raises(UserError, match="damaged"):
        Dataset.open(dataset.directory)
    np.save(path, np.zeros(5))
    with pytest.raises(UserError, match="does not hold token ids"):
        Dataset.open(dataset.directory)
    np.save(path, np.full(100, 60_000, np.uint16))
    with pytest.raises(UserError, match="no token 60,000"):
        Dataset.open(dataset.directory).seen_tokens()
    np.save(path, np.zeros(1, np.uint16))
    with pytest.raises(UserError, match="nothing to validate on"):
        next(Dataset.open(dataset.directory).validation_windows(8, 2))
    path.unlink()
    with pytest.raises(UserError, match=r"lacks val\.npy"):
        Dataset.open(dataset.directory)
    (dataset.directory / "dataset.json").write_text('{"name": "x"}', encoding="utf-8")
    with pytest.raises(UserError, match="does not describe a dataset"):
        _ = dataset.info


def test_counting_baselines_agree_with_their_definition() -> None:
    rng = np.random.default_rng(0)
    train, val = rng.integers(0, 5, 2000).astype(np.uint16), rng.integers(0, 5, 300).astype(np.uint16)
    counts = token_counts(train, 6)
    losses = baselines(train, val, counts, token_counts(val, 6))
    unigram = (counts + 1) / (counts.sum() + 6)
    pairs = list(zip(train[:-1].tolist(), train[1:].tolist(), strict=True))
    nats = []
    for before, target in zip(val[:-1].tolist(), val[1:].tolist(), strict=True):
        seen = pairs.count((before, target)) + 8 * unigram[target]
        nats.append(-np.log(seen / (sum(first == before for first, _ in pairs) + 8)))
    assert losses["uniform"] == pytest.approx(np.log(6))
    assert losses["unigram"] == pytest.approx(-np.log(unigram[val[1:]]).mean())
    assert losses["bigram"] == pytest.approx(np.mean(nats))
