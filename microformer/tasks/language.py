"""Predicting tokens of running text: the next one (a decoder), or those that are hidden (an encoder)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.data.datasets import Dataset
from microformer.model.transformer import NEVER_SEEN
from microformer.tasks.batch import IGNORED, Batch
from microformer.tasks.task import Evaluation, Extent, device_of


@dataclass(frozen=True, eq=False)
class LanguageModelling:
    """Predict each token's successor. *Shape:* inputs and targets (batch, seq) of int64.

    ``only`` (tokens,) are the tokens that a target can be, if not all of them. A model's bias leaves the others no
    probability at all: leaving them out changes neither the loss nor a gradient, and saves their part of the head.
    """

    only: Tensor | None = None
    name = "language_modelling"

    def batch(self, dataset: Dataset, rows: int, context: int, seed: int, step: int) -> Batch:
        return Batch(*dataset.batch("train", rows, context, seed, step))

    def extent(self, dataset: Dataset, split: str, context: int) -> Extent:
        return windows_extent(dataset, split, context)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return token_loss(model(batch.inputs, only=self.only), batch.targets, self.only)

    def total(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """The summed loss of a batch, and over how many predictions.

        A token that the model never saw has no probability at all: it counts as a blind guess.
        """
        logits = model(batch.inputs).flatten(0, 1).float()
        nats = F.cross_entropy(logits, batch.targets.flatten(), reduction="none")
        guess = math.log(logits.shape[-1])
        return torch.where(nats > -NEVER_SEEN / 2, guess, nats).sum(), batch.targets.numel()

    def evaluate(
        self, model: nn.Module, dataset: Dataset, *, context: int, batch_size: int, most: int | None = None
    ) -> Evaluation:
        """See ``Task``: contiguous windows; ``most`` says how many at the beginning."""
        device = device_of(model)
        nats, tokens = torch.zeros((), dtype=torch.float64, device=device), 0
        for inputs, targets in windows(dataset, context, batch_size, most):
            summed, count = self.total(model, Batch(inputs, targets).to(device))
            nats += summed
            tokens += count
        return summarise(float(nats), tokens, dataset.val_bytes * tokens / max(len(dataset.val) - 1, 1))


@dataclass(frozen=True, eq=False)
class MaskedLanguageModelling:
    """Say which token is hidden, from what stands on both sides (BERT, arXiv:1810.04805).

    A ``share`` of all tokens is asked for. Of these, 80 % are replaced by ``<|endoftext|>``, which no text has inside
    it, 10 % by another token of the batch, and 10 % are left as they are. *Shape:* as ``LanguageModelling``.
    """

    only: Tensor | None = None
    share: float = 0.15
    name = "masked_language_modelling"

    def batch(self, dataset: Dataset, rows: int, context: int, seed: int, step: int) -> Batch:
        tokens, _ = dataset.batch("train", rows, context, seed, step)
        return self._hide(tokens, np.random.default_rng([seed, step, 1]), dataset.tokenizer.end_id)

    def extent(self, dataset: Dataset, split: str, context: int) -> Extent:
        return windows_extent(dataset, split, context)

    def _hide(self, tokens: Tensor, random: np.random.Generator, mark: int) -> Batch:
        chance = torch.from_numpy(random.random(tokens.shape))
        any_token = torch.from_numpy(random.permuted(tokens.numpy().reshape(-1)).reshape(tokens.shape))
        inputs = torch.where(chance < 0.8 * self.share, mark, tokens)
        inputs = torch.where((chance >= 0.8 * self.share) & (chance < 0.9 * self.share), any_token, inputs)
        return Batch(inputs, torch.where(chance < self.share, tokens, IGNORED))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return token_loss(model(batch.inputs, only=self.only), batch.targets, self.only)

    def evaluate(
        self, model: nn.Module, dataset: Dataset, *, context: int, batch_size: int, most: int | None = None
    ) -> Evaluation:
        """See ``Task``: the same tokens are hidden each time."""
        device, random = device_of(model), np.random.default_rng(0)
        nats = right = torch.zeros((), dtype=torch.float64, device=device)
        asked = 0
        for tokens, _ in windows(dataset, context, batch_size, most):
            batch = self._hide(tokens, random, dataset.tokenizer.end_id).to(device)
            logits = model(batch.inputs)
            nats = nats + token_loss(logits, batch.targets, None) * batch.predictions
            right = right + (logits.argmax(-1) == batch.targets).sum()
            asked += batch.predictions
        loss = float(nats) / max(asked, 1)
        return Evaluation(loss, {"perplexity": perplexity(loss), "accuracy": float(right) / max(asked, 1)})


def windows_extent(dataset: Dataset, split: str, context: int) -> Extent:
    """How many windows of the context a split's text has."""
    return Extent(len(dataset.val if split == "val" else dataset.train) / context, context)


def windows(dataset: Dataset, context: int, rows: int, most: int | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Validation windows, ``rows`` at a time, all of them or the first ``most``."""
    found = dataset.validation_windows(context, rows)
    return found if most is None else islice(found, max(1, most // rows))


def token_loss(logits: Tensor, targets: Tensor, only: Tensor | None) -> Tensor:
    """Mean nats over the targets that are not ``IGNORED``; 0 where all are.

    *Shape:* (batch, seq, vocab), or (batch, seq, len(only)) where ``only`` are the tokens that a target can be.
    """
    if only is not None:
        places = torch.searchsorted(only.to(targets.device), targets.contiguous())
        targets = torch.where(targets == IGNORED, IGNORED, places)
    nats = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="sum")
    return nats / (targets != IGNORED).sum().clamp(min=1)


def perplexity(loss: float) -> float:
    """e to the power of a loss."""
    return math.exp(loss) if loss < 700 else math.inf


def summarise(nats: float, tokens: int, bytes_predicted: float) -> Evaluation:
    """Total nats over ``tokens`` predictions that stand for ``bytes_predicted`` bytes of text, as an evaluation."""
    loss = nats / max(tokens, 1)
    bits = nats / math.log(2) / max(bytes_predicted, 1.0)
    return Evaluation(loss, {"perplexity": perplexity(loss), "bits_per_byte": bits})
