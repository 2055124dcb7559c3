"""Answering a text with a text: an encoder reads the source, a decoder writes the target."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from microformer.data.datasets import Dataset
from microformer.data.rows import Rows
from microformer.model.transformer import Transformer
from microformer.tasks.batch import IGNORED, Batch
from microformer.tasks.language import perplexity, token_loss
from microformer.tasks.row_batches import rows_extent, training_batch, validation_batches
from microformer.tasks.task import Evaluation, Extent, device_of


@dataclass(frozen=True, eq=False)
class SequenceToSequence:
    """Predict each token of the target from those before it and the source ("teacher forcing").

    *Shape:* source (batch, source), source_lengths (batch,), inputs and targets (batch, seq), all of int64.
    ``<|endoftext|>`` begins and ends a source; it begins what the decoder reads and ends what it says.
    """

    only: Tensor | None = None
    name = "sequence_to_sequence"

    def batch(self, dataset: Dataset, rows: int, context: int, seed: int, step: int) -> Batch:
        return training_batch(self._batch, dataset, rows, context, seed, step)

    def _batch(self, split: Rows, rows: np.ndarray, context: int, end: int) -> Batch:
        assert split.targets is not None
        source, source_lengths = split.texts.padded(rows, context, end)
        tokens, lengths = split.targets.padded(rows, context + 1, end)
        behind = torch.arange(1, tokens.shape[1]) >= lengths[:, None]  # (B, T)
        targets = tokens[:, 1:].masked_fill(behind, IGNORED)
        return Batch(tokens[:, :-1].contiguous(), targets, lengths - 1, source, source_lengths)

    def extent(self, dataset: Dataset, split: str, context: int) -> Extent:
        return rows_extent(dataset, split, context)

    def _logits(self, model: nn.Module, batch: Batch, only: Tensor | None = None) -> Tensor:
        logits: Tensor = model(batch.inputs, only=only, source=batch.source, source_lengths=batch.source_lengths)
        return logits

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return token_loss(self._logits(model, batch, self.only), batch.targets, self.only)

    def evaluate(
        self, model: nn.Module, dataset: Dataset, *, context: int, batch_size: int, most: int | None = None
    ) -> Evaluation:
        """See ``Task``. ``exact_match`` is of what the model writes by itself, always taking the likeliest token.

        That is the target exactly when every token of it is the likeliest after those before it, so only the others
        have to be written, to count their wrong characters.
        """
        from microformer.tasks.metrics import character_error_rate

        nats, predictions, exact = 0.0, 0, 0
        written: list[str] = []
        wanted: list[str] = []
        decode = dataset.tokenizer.decode
        for batch in validation_batches(self._batch, dataset, context, batch_size, most):
            batch = batch.to(device_of(model))
            logits = self._logits(model, batch)
            nats += float(token_loss(logits, batch.targets, None)) * batch.predictions
            predictions += batch.predictions
            right = ((logits.argmax(-1) == batch.targets) | (batch.targets == IGNORED)).all(1)
            exact += int(right.sum())
            targets = [decode([token for token in row if token != IGNORED]) for row in batch.targets.tolist()]
            wanted += targets
            texts = dict(
                zip((~right).nonzero()[:, 0].tolist(), self._write(model, batch, ~right, dataset), strict=True)
            )
            written += [texts.get(row, target) for row, target in enumerate(targets)]
        loss = nats / max(predictions, 1)
        return Evaluation(
            loss,
            {
                "perplexity": perplexity(loss),
                "exact_match": exact / max(len(wanted), 1),
                "character_error_rate": character_error_rate(written, wanted),
            },
        )

    def _write(self, model: nn.Module, batch: Batch, rows: Tensor, dataset: Dataset) -> list[str]:
        """What the model answers to some rows of a batch, at most as long as its longest target."""
        if not bool(rows.any()) or not isinstance(model, Transformer):
            return []
        assert batch.source is not None and batch.source_lengths is not None
        end = dataset.tokenizer.end_id
        ids = greedy(model, batch.source[rows], batch.source_lengths[rows], batch.targets.shape[1], end)
        return [dataset.tokenizer.decode(row) for row in ids]


@torch.inference_mode()
def greedy(model: Transformer, source: Tensor, lengths: Tensor, most: int, end: int) -> list[list[int]]:
    """The likeliest token after each, for every source at once, up to ``end`` (left out) or ``most`` tokens."""
    cache = model.new_cache(len(source), most)
    encoded = model.encode(source, lengths)
    tokens = torch.full((len(source), 1), end, device=source.device)
    written: list[Tensor] = []
    for _ in range(most):
        tokens = model(tokens, cache=cache, source=encoded)[:, -1].argmax(-1, keepdim=True)
        written.append(tokens)
        if bool(((torch.cat(written, 1) == end).any(1)).all()):
            break
    rows = torch.cat(written, 1).tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]
