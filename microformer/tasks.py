"""What a model is trained to do: how a batch is made and turned into a loss, and what its errors are called.

A task knows models and data, not training; the loop and the evaluation know tasks only through ``Task``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.data.datasets import Dataset
from microformer.model.transformer import NEVER_SEEN

IGNORED = -100
"""A target that nothing is asked about, because nothing stands there or it is given."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What a model reads and what it should say of it; the first dimension of every tensor is rows.

    *Shape:* inputs (batch, seq) of int64, or (batch, seq, features); targets (batch, …); ``lengths`` (batch,) says how
    much of each row is no padding, where they differ. ``source`` and ``source_lengths`` are what an encoder reads.
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
        """Places of a row that a model goes through, padding included."""
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


@dataclass(frozen=True)
class Evaluation:
    """How well a model does on held-out text; each number is better when lower.

    ``loss`` is nats per predicted token, ``perplexity`` is e to its power. ``bits_per_byte`` is what the text would
    take if the model compressed it, per byte of UTF-8: the one that can be compared between tokenizers.
    """

    loss: float
    perplexity: float
    bits_per_byte: float


class Task(Protocol):
    """Batches from a dataset, and a loss over them."""

    def batch(self, dataset: Dataset, rows: int, context: int, seed: int, step: int) -> Batch:
        """Rows of the training split, at most ``context`` long: a function of ``seed`` and ``step`` alone."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean loss over a batch's predictions, a scalar with gradients."""
        ...

    def total(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """The summed loss of a batch (a scalar) and over how many predictions it was summed."""
        ...


@dataclass(frozen=True, eq=False)
class LanguageModelling:
    """Predict each token's successor. *Shape:* inputs and targets (batch, seq) of int64.

    ``only`` are the tokens that a target can be, if not all of them. A model's bias leaves the others no probability
    at all, so that leaving them out changes neither the loss nor a gradient, and saves their part of the head.
    """

    only: Tensor | None = None

    def batch(self, dataset: Dataset, rows: int, context: int, seed: int, step: int) -> Batch:
        return Batch(*dataset.batch("train", rows, context, seed, step))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        targets = batch.targets
        if self.only is not None:
            targets = torch.searchsorted(self.only, targets.contiguous())
        return F.cross_entropy(model(batch.inputs, only=self.only).flatten(0, 1).float(), targets.flatten())

    def total(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """See ``Task``. A token that the model never saw has no probability at all: it counts as a blind guess."""
        logits = model(batch.inputs).flatten(0, 1).float()
        nats = F.cross_entropy(logits, batch.targets.flatten(), reduction="none")
        guess = math.log(logits.shape[-1])
        return torch.where(nats > -NEVER_SEEN / 2, guess, nats).sum(), batch.targets.numel()


def summarise(nats: float, tokens: int, bytes_predicted: float) -> Evaluation:
    """Total nats over ``tokens`` predictions that stand for ``bytes_predicted`` bytes of text, as an evaluation."""
    loss = nats / max(tokens, 1)
    perplexity = math.exp(loss) if loss < 700 else math.inf
    return Evaluation(loss, perplexity, nats / math.log(2) / max(bytes_predicted, 1.0))
