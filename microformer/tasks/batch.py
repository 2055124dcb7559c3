"""What a model reads in one step, and what it should predict."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

IGNORED = -100
"""A target that does not count, because there is only padding or the token was given."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What a model reads and what it should predict; the first dimension of every tensor is the rows.

    *Shape:* inputs (batch, seq) of int64, or (batch, seq, features); targets (batch, …); ``lengths`` (batch,) says how
    much of each row is not padding, where rows differ. ``source`` and ``source_lengths`` are what an encoder reads.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    source: Tensor | None = None
    source_lengths: Tensor | None = None

    def __len__(self) -> int:
        """Rows."""
        return len(self.inputs)

    @property
    def positions(self) -> int:
        """How many tokens of a row a model goes through, padding and source included."""
        return self.inputs.shape[1] + (0 if self.source is None else self.source.shape[1])

    @property
    def predictions(self) -> int:
        """How many targets count: what the mean loss of a part is weighted by."""
        return int((self.targets != IGNORED).sum())

    def split(self, parts: int) -> list["Batch"]:
        """The rows in ``parts`` batches of about the same size."""
        tensors = [getattr(self, one.name) for one in fields(self)]
        columns = [[None] * parts if tensor is None else tensor.tensor_split(parts) for tensor in tensors]
        return [Batch(*piece) for piece in zip(*columns, strict=True)]

    def share(self, rank: int, size: int) -> "Batch":
        """The rows of one of ``size`` processes."""
        return self._each(lambda tensor: tensor[rank::size])

    def to(self, device: torch.device) -> "Batch":
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        tensors = {one.name: getattr(self, one.name) for one in fields(self)}
        changed: dict[str, Any] = {name: None if one is None else change(one) for name, one in tensors.items()}
        return Batch(**changed)
