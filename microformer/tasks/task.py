"""What the training loop and the evaluation know of a task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from microformer.data.datasets import Dataset
from microformer.tasks.batch import Batch


@dataclass(frozen=True)
class Evaluation:
    """How well a model does on held-out data. ``loss`` is better when lower and decides which step is the best.

    ``metrics`` are the task's own, by name: ``perplexity`` and ``bits_per_byte``; ``accuracy``, ``macro_f1`` and
    ``confusion``; ``mae``, ``rmse`` and ``r2``; ``exact_match`` and ``character_error_rate``.
    """

    loss: float
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def perplexity(self) -> float:
        """e to the power of the loss."""
        return float(self.metrics["perplexity"])

    @property
    def bits_per_byte(self) -> float | None:
        """What the text would take if the model compressed it, per byte of UTF-8; ``None`` for other tasks.

        It is the number that can be compared between tokenizers.
        """
        return self.metrics.get("bits_per_byte")

    def to_dict(self) -> dict[str, Any]:
        return {"loss": self.loss, **self.metrics}


@dataclass(frozen=True)
class Extent:
    """How much there is to read: ``rows`` (or windows of a text), each of ``tokens`` on average."""

    rows: float
    tokens: float

    @property
    def total(self) -> float:
        return self.rows * self.tokens


class Task(Protocol):
    """Batches from a dataset, a loss over them, and metrics on held-out data."""

    name: str

    def batch(self, dataset: Dataset, rows: int, context: int, seed: int, step: int) -> Batch:
        """Rows of the training split, at most ``context`` long: a function of ``seed`` and ``step`` alone."""
        ...

    def extent(self, dataset: Dataset, split: str, context: int) -> Extent:
        """What a split holds."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean loss over a batch's predictions, a scalar with gradients."""
        ...

    def evaluate(
        self, model: nn.Module, dataset: Dataset, *, context: int, batch_size: int, most: int | None = None
    ) -> Evaluation:
        """The validation split, or its first ``most`` rows. The caller has turned dropout and gradients off."""
        ...


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights are."""
    return next(model.parameters()).device
