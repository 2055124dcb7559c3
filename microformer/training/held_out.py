"""The text that a run was not trained on: where it is, and windows of it."""

from pathlib import Path

import numpy as np
import torch

from microformer.checkpoint import Loaded
from microformer.data.datasets import Dataset, open_validation
from microformer.errors import UserError
from microformer.training.run_directory import Run


def validation_of(loaded: Loaded, data: Path | None) -> Dataset:
    """The dataset in ``data``, else the one that lies in the run (as in the starter), else the one it was trained on.

    Raises ``UserError`` when there is none, or when it was made with another tokenizer.
    """
    if data is not None:
        dataset = Dataset.open(data)
    elif (loaded.run / "val.npy").is_file():
        dataset = open_validation(loaded.run)
    else:
        directory = Run(loaded.run).data()
        if directory is None:
            raise UserError(f"The dataset that {loaded.run.name} was trained on is not here; give another one.")
        dataset = Dataset.open(directory)
    if dataset.tokenizer.hash != loaded.tokenizer.hash:
        raise UserError(
            f"The dataset {data or 'of the run'} was made with another tokenizer than {loaded.run.name}; "
            f"prepare it again with the tokenizer of {loaded.run.name}."
        )
    return dataset


def windows_of(dataset: Dataset, context: int, most: int = 64) -> torch.Tensor:
    """At most ``most`` windows spread evenly over the validation text, (windows, context + 1) of int64.

    Raises ``UserError`` when there is not even one.
    """
    if len(dataset.val) <= context:
        raise UserError(
            f"The validation text has {len(dataset.val):,} tokens, but {context + 1:,} are needed here; "
            "take a dataset that has more of it."
        )
    count = max(1, min(most, len(dataset.val) // (context + 1)))
    starts = np.linspace(0, len(dataset.val) - context - 1, count).astype(int)
    return torch.from_numpy(dataset.val[starts[:, None] + np.arange(context + 1)].astype(np.int64))
