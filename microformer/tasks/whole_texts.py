"""Predicting one thing about a whole text: its class, or a number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.data.datasets import Dataset
from microformer.data.rows import Rows
from microformer.data.tokenizers import Tokenizer
from microformer.tasks.batch import Batch
from microformer.tasks.row_batches import rows_extent, training_batch, validation_batches
from microformer.tasks.task import Evaluation, Extent, device_of


@dataclass(frozen=True)
class Classification:
    """Predict which of ``labels`` a text has. *Shape:* inputs (batch, seq), lengths and targets (batch,) of int64."""

    labels: tuple[str, ...]
    name = "classification"

    def batch(self, dataset: Dataset, rows: int, context: int, seed: int, step: int) -> Batch:
        return training_batch(self._batch, dataset, rows, context, seed, step)

    def _batch(self, split: Rows, rows: np.ndarray, context: int, end: int) -> Batch:
        assert split.labels is not None
        inputs, lengths = split.texts.padded(rows, context, end)
        return Batch(inputs, torch.from_numpy(np.asarray(split.labels[rows], np.int64)), lengths)

    def extent(self, dataset: Dataset, split: str, context: int) -> Extent:
        return rows_extent(dataset, split, context)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(model(batch.inputs, lengths=batch.lengths).float(), batch.targets)

    def evaluate(
        self, model: nn.Module, dataset: Dataset, *, context: int, batch_size: int, most: int | None = None
    ) -> Evaluation:
        from microformer.tasks.metrics import classification

        batches = validation_batches(self._batch, dataset, context, batch_size, most)
        logits, targets = outputs_and_targets(model, batches)
        metrics = classification(logits, targets, len(self.labels))
        return Evaluation(float(F.cross_entropy(logits, targets)), metrics)

    def predict(self, model: nn.Module, tokenizer: Tokenizer, text: str, context: int) -> dict[str, Any]:
        """``{"label", "probabilities"}``, the likeliest first."""
        (logits,) = _outputs_for(model, tokenizer, text, context)
        probabilities = zip(self.labels, logits.double().softmax(-1).tolist(), strict=True)
        ordered = dict(sorted(probabilities, key=lambda pair: -pair[1]))
        return {"label": next(iter(ordered)), "probabilities": ordered}


@dataclass(frozen=True)
class Regression:
    """Predict the number that belongs to a text. *Shape:* inputs (batch, seq), lengths and targets (batch,).

    The model is asked for (value - mean) / scale, so that it need not learn how large values are, and its loss is the
    mean square of how far off that is. The metrics are in the units of the values themselves.
    """

    mean: float = 0.0
    scale: float = 1.0
    name = "regression"

    def batch(self, dataset: Dataset, rows: int, context: int, seed: int, step: int) -> Batch:
        return training_batch(self._batch, dataset, rows, context, seed, step)

    def _batch(self, split: Rows, rows: np.ndarray, context: int, end: int) -> Batch:
        assert split.values is not None
        inputs, lengths = split.texts.padded(rows, context, end)
        standard = (np.asarray(split.values[rows]) - self.mean) / self.scale
        return Batch(inputs, torch.from_numpy(standard.astype(np.float32)), lengths)

    def extent(self, dataset: Dataset, split: str, context: int) -> Extent:
        return rows_extent(dataset, split, context)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return F.mse_loss(model(batch.inputs, lengths=batch.lengths).float()[:, 0], batch.targets)

    def evaluate(
        self, model: nn.Module, dataset: Dataset, *, context: int, batch_size: int, most: int | None = None
    ) -> Evaluation:
        from microformer.tasks.metrics import regression

        batches = validation_batches(self._batch, dataset, context, batch_size, most)
        outputs, targets = outputs_and_targets(model, batches)
        loss = float(F.mse_loss(outputs[:, 0], targets))
        return Evaluation(loss, regression(outputs[:, 0] * self.scale + self.mean, targets * self.scale + self.mean))

    def predict(self, model: nn.Module, tokenizer: Tokenizer, text: str, context: int) -> dict[str, Any]:
        """``{"value"}``."""
        ((number,),) = _outputs_for(model, tokenizer, text, context).tolist()
        return {"value": number * self.scale + self.mean}


def outputs_and_targets(model: nn.Module, batches: Iterator[Batch]) -> tuple[Tensor, Tensor]:
    """What a model predicts for all batches, and what it should have. *Shape:* (rows, outputs), (rows,)."""
    outputs, targets = [], []
    for batch in batches:
        there = batch.to(device_of(model))
        outputs.append(model(there.inputs, lengths=there.lengths).float().cpu())
        targets.append(batch.targets)
    return torch.cat(outputs), torch.cat(targets)


@torch.inference_mode()
def _outputs_for(model: nn.Module, tokenizer: Tokenizer, text: str, context: int) -> Tensor:
    """What a model predicts for one text. *Shape:* (1, outputs)."""
    inputs = marked(tokenizer, text, context).to(device_of(model))
    lengths = torch.tensor([inputs.shape[1]], device=inputs.device)
    outputs: Tensor = model(inputs, lengths=lengths)
    return outputs.float().cpu()


def marked(tokenizer: Tokenizer, text: str, context: int) -> Tensor:
    """A text as training reads rows: between two ``<|endoftext|>``, cut to the context. *Shape:* (1, seq)."""
    ids: Sequence[int] = tokenizer.encode(text)[: context - 2]
    return torch.tensor([[tokenizer.end_id, *ids, tokenizer.end_id]])
