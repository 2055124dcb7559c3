"""Rows of differing length with what is known of each, as they lie beside the tokens of a prepared dataset."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from microformer.errors import UserError

OFFSETS = "offsets.npy"
ANSWERS = {"labelled": "labels.npy", "valued": "targets.npy", "paired": "targets.npy"}
"""Where the answers of each kind of dataset lie: ``train.labels.npy``, say."""
POOL_BATCHES = 50
"""How many batches are sorted by length together, so that rows of like length share a batch."""
PADDED_TO = 8
"""Padded lengths are multiples of this: few shapes, and ones that processors like."""


@dataclass(frozen=True, eq=False)
class Texts:
    """Rows of tokens one after the other, each ending with ``<|endoftext|>``; row i is from ``offsets[i]`` to the next.

    *Shape:* tokens (tokens,), offsets (rows + 1,).
    """

    tokens: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, its end included. *Shape:* (rows,)."""
        return np.diff(self.offsets)

    def padded(self, rows: np.ndarray, longest: int, end: int) -> tuple[Tensor, Tensor]:
        """Some rows, each with an ``end`` before and after it, and their lengths.

        *Shape:* (rows, seq) of int64, (rows,). A row longer than ``longest`` loses tokens before its last ``end``. The
        padding is ``end``, too.
        """
        lengths = np.minimum(self.lengths[rows] + 1, longest)
        seq = min(-(-int(lengths.max()) // PADDED_TO) * PADDED_TO, longest)
        places = np.arange(seq)
        inside = (places > 0) & (places < lengths[:, None] - 1)  # (B, T)
        found = self.tokens[np.where(inside, self.offsets[rows][:, None] + places - 1, 0)]
        return torch.from_numpy(np.where(inside, found, end).astype(np.int64)), torch.from_numpy(lengths)


@dataclass(frozen=True, eq=False)
class Rows:
    """One split: ``texts`` to be read and, by the dataset's kind, ``labels`` or ``values`` (rows,), or ``targets``."""

    texts: Texts
    labels: np.ndarray | None = None
    values: np.ndarray | None = None
    targets: Texts | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """How much of a batch each row takes. *Shape:* (rows,)."""
        return self.texts.lengths + (0 if self.targets is None else self.targets.lengths)

    def longer_than(self, context: int) -> int:
        """How many rows do not fit a context, with the marks around them, and are cut."""
        too_long = self.texts.lengths + 1 > context
        if self.targets is not None:
            too_long = too_long | (self.targets.lengths > context)
        return int(too_long.sum())

    def drawn(self, count: int, seed: int, step: int) -> np.ndarray:
        """The ``count`` rows of a training step: rows of like length, and each row once before any comes again.

        A function of ``seed`` and ``step`` (from 1) alone, so that a resumed run has the rows it would have had.
        """
        batches = -(-len(self) // count)
        epoch, index = divmod(step - 1, batches)
        return _epoch(self, count, seed, epoch)[index]

    def in_order(self, count: int, most: int | None = None) -> Iterator[np.ndarray]:
        """The first ``most`` rows (or all), ``count`` at a time, those of like length together."""
        rows = np.argsort(self.sizes[:most], kind="stable")
        return iter([rows[first : first + count] for first in range(0, len(rows), count)])


@functools.lru_cache(maxsize=4)
def _epoch(rows: Rows, count: int, seed: int, epoch: int) -> np.ndarray:
    """Every row once, in batches of ``count``. *Shape:* (batches, count); the first few fill up the last batch."""
    random = np.random.default_rng([seed, epoch])
    batches = -(-len(rows) // count)
    order = np.resize(random.permutation(len(rows)), batches * count)
    pool = POOL_BATCHES * count
    for first in range(0, len(order), pool):
        some = order[first : first + pool]
        order[first : first + pool] = some[np.argsort(rows.sizes[some], kind="stable")]
    return order.reshape(batches, count)[random.permutation(batches)]


def open_rows(directory: Path, split: str, kind: str) -> Rows:
    """The rows of a split of a dataset of this kind. Raises ``UserError`` where files are missing or do not fit."""
    texts = _texts(directory, split)
    if kind == "paired":
        targets = _texts(directory, f"{split}.targets")
        _check(len(targets) == len(texts), directory / f"{split}.targets.{OFFSETS}")
        return Rows(texts, targets=targets)
    path = directory / f"{split}.{ANSWERS[kind]}"
    answers = load_array(path)
    _check(answers.shape == (len(texts),) and answers.dtype.kind == ("i" if kind == "labelled" else "f"), path)
    return Rows(texts, labels=answers) if kind == "labelled" else Rows(texts, values=answers)


def _texts(directory: Path, name: str) -> Texts:
    tokens, offsets = load_array(directory / f"{name}.npy"), load_array(directory / f"{name}.{OFFSETS}")
    _check(tokens.ndim == 1 and tokens.dtype in (np.uint16, np.uint32), directory / f"{name}.npy")
    good = offsets.ndim == 1 and offsets.dtype.kind == "i" and len(offsets) > 1 and offsets[0] == 0
    good = good and offsets[-1] == len(tokens) and bool((np.diff(offsets) > 0).all())
    _check(good, directory / f"{name}.{OFFSETS}")
    return Texts(tokens, np.asarray(offsets))


def load_array(path: Path) -> np.ndarray:
    """A memory map of plain numbers, or ``UserError``. Nothing else is ever read."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"The dataset in {path.parent} lacks {path.name}; prepare it again.") from None
    except (ValueError, OSError, EOFError):
        raise UserError(f"{path} is damaged; prepare the dataset again.") from None


def _check(good: bool, path: Path) -> None:
    if not good:
        raise UserError(f"{path} does not fit the rest of the dataset; prepare it again.")
