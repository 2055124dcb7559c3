"""Prepared datasets: memory-mapped tokens and rows, random batches to train on and ordered windows to validate on."""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from microformer.data.counting import token_counts
from microformer.data.info import DatasetInfo
from microformer.data.rows import Rows, load_array, open_rows
from microformer.data.tokenizers import Tokenizer, load_tokenizer
from microformer.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """The tokens of a dataset directory. Nothing is loaded into memory before it is used."""

    directory: Path
    tokenizer: Tokenizer
    train: np.ndarray
    """``(train tokens,)`` of uint16 or uint32."""
    val: np.ndarray
    """``(validation tokens,)``"""

    @classmethod
    def open(cls, directory: Path | str) -> "Dataset":
        """The dataset in a directory that ``prepare`` wrote, or ``UserError``."""
        directory = Path(directory)
        if not (directory / "dataset.json").is_file():
            raise UserError(f"There is no dataset in {directory}; make one with the command prepare.")
        return cls(
            directory,
            load_tokenizer(directory / "tokenizer.json"),
            _tokens(directory / "train.npy"),
            _tokens(directory / "val.npy"),
        )

    @functools.cached_property
    def info(self) -> DatasetInfo:
        """What is known of the dataset: its ``dataset.json``."""
        return DatasetInfo.read(self.directory)

    @property
    def kind(self) -> str:
        """``text``, ``labelled``, ``valued`` or ``paired``."""
        return self.info.kind if (self.directory / "dataset.json").is_file() else "text"

    @functools.cached_property
    def train_rows(self) -> Rows:
        """The training split row by row, in a dataset that is not plain text."""
        return open_rows(self.directory, "train", self.kind)

    @functools.cached_property
    def val_rows(self) -> Rows:
        """The validation split row by row, in a dataset that is not plain text."""
        return open_rows(self.directory, "val", self.kind)

    @functools.cached_property
    def val_bytes(self) -> int:
        """UTF-8 bytes of the validation text: what bits per byte are counted over."""
        return int(token_counts(self.val, self.tokenizer.vocab_size) @ self.tokenizer.byte_lengths)

    def seen_tokens(self) -> np.ndarray:
        """Which tokens a model of this dataset can learn, ``(vocab_size,)`` of bool.

        Those that occur in the training or the validation text, and ``<|endoftext|>``. (A character that stands in
        the validation text only must keep a probability, or that text could not be measured.)
        """
        size = self.tokenizer.vocab_size
        read = [self.train, self.val]
        if self.kind == "paired":
            read += [rows.targets.tokens for rows in (self.train_rows, self.val_rows) if rows.targets]
        seen = np.sum([token_counts(tokens, size) for tokens in read], axis=0) > 0
        seen[self.tokenizer.end_id] = True
        return seen

    def batch(
        self, split: str, batch_size: int, context: int, seed: int, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Random windows of ``train`` or ``val`` and the token after each place: two ``(batch_size, context)`` int64.

        A function of ``seed`` and ``step`` alone, so that a resumed run goes on with exactly the batches it would
        have had. ``UserError`` where the context is longer than the text.
        """
        tokens = self.val if split == "val" else self.train
        if context >= len(tokens):
            raise UserError(
                f"A context of {context:,} tokens is too long for a text of {len(tokens):,}; choose at most "
                f"{max(1, len(tokens) // 2):,}, or more text."
            )
        starts = np.random.default_rng([seed, step]).integers(0, len(tokens) - context, batch_size)
        windows = tokens[starts[:, None] + np.arange(context + 1)].astype(np.int64)  # (B, T + 1)
        both = torch.from_numpy(windows)
        return both[:, :-1].contiguous(), both[:, 1:].contiguous()

    def validation_windows(self, context: int, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The whole validation split in contiguous windows: ``(B, context)`` tokens and the tokens after them.

        Every token but the first is a target exactly once. The last window, if it is shorter, comes alone.
        """
        targets = len(self.val) - 1
        if targets < 1:
            raise UserError(f"There is nothing to validate on in {self.directory}; prepare the dataset again.")
        whole = targets // context
        for first in range(0, whole, batch_size):
            rows = min(batch_size, whole - first)
            start = first * context
            piece = torch.from_numpy(self.val[start : start + rows * context + 1].astype(np.int64))
            yield piece[:-1].view(rows, context), piece[1:].view(rows, context)
        if whole * context < targets:
            piece = torch.from_numpy(self.val[whole * context :].astype(np.int64))
            yield piece[None, :-1], piece[None, 1:]


def open_validation(directory: Path | str) -> Dataset:
    """Only the validation split: from a directory with ``tokenizer.json`` and ``val.npy`` (as the starter ships)."""
    directory = Path(directory)
    val = _tokens(directory / "val.npy")
    return Dataset(directory, load_tokenizer(directory / "tokenizer.json"), val[:0], val)


def _tokens(path: Path) -> np.ndarray:
    """A memory map of token ids, or ``UserError``."""
    tokens = load_array(path)
    if tokens.ndim != 1 or tokens.dtype not in (np.uint16, np.uint32):
        raise UserError(f"{path} does not hold token ids; prepare the dataset again.")
    return tokens
