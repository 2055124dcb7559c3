"""Batches of rows that have an answer: how they are drawn, and how many there are."""

from collections.abc import Callable, Iterator

import numpy as np

from microformer.data.datasets import Dataset
from microformer.data.rows import Rows
from microformer.tasks.batch import Batch
from microformer.tasks.task import Extent

MakeBatch = Callable[[Rows, np.ndarray, int, int], Batch]
"""Makes a batch of some rows of a split, cut to a context, with the id of the end-of-text token."""


def rows_extent(dataset: Dataset, split: str, context: int) -> Extent:
    """Rows of a split, and how much of a batch each takes on average, cut to the context."""
    rows = dataset.val_rows if split == "val" else dataset.train_rows
    return Extent(len(rows), float(np.minimum(rows.sizes, context if rows.targets is None else 2 * context).mean()))


def training_batch(make: MakeBatch, dataset: Dataset, rows: int, context: int, seed: int, step: int) -> Batch:
    """The batch of a training step, of the rows that ``Rows.drawn`` gives."""
    split = dataset.train_rows
    return make(split, split.drawn(rows, seed, step), context, dataset.tokenizer.end_id)


def validation_batches(make: MakeBatch, dataset: Dataset, context: int, rows: int, most: int | None) -> Iterator[Batch]:
    """The validation rows (or the first ``most``) as batches that ``make`` makes."""
    split = dataset.val_rows
    return (make(split, some, context, dataset.tokenizer.end_id) for some in split.in_order(rows, most))
