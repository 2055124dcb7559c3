"""What a model is trained to do: how a batch is turned into a loss, and what its errors are called.

A task knows models and batches, not training; the loop and the evaluation know tasks only through ``Task``.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.model.transformer import NEVER_SEEN


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
    """A loss over batches of ``(inputs, targets)`` and its name for people."""

    def loss(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar with gradients."""
        ...

    def total(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[Tensor, int]:
        """The summed loss of a batch (a scalar) and over how many predictions it was summed."""
        ...


@dataclass(frozen=True, eq=False)
class LanguageModelling:
    """Predict each token's successor. *Shape:* inputs and targets (batch, seq) of int64.

    ``only`` are the tokens that a target can be, if not all of them. A model's bias leaves the others no probability
    at all, so that leaving them out changes neither the loss nor a gradient, and saves their part of the head.
    """

    only: Tensor | None = None

    def loss(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        if self.only is not None:
            targets = torch.searchsorted(self.only, targets.contiguous())
        return F.cross_entropy(model(inputs, only=self.only).flatten(0, 1).float(), targets.flatten())

    def total(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[Tensor, int]:
        """See ``Task``. A token that the model never saw has no probability at all: it counts as a blind guess."""
        logits = model(inputs).flatten(0, 1).float()
        nats = F.cross_entropy(logits, targets.flatten(), reduction="none")
        guess = math.log(logits.shape[-1])
        return torch.where(nats > -NEVER_SEEN / 2, guess, nats).sum(), targets.numel()


def summarise(nats: float, tokens: int, bytes_predicted: float) -> Evaluation:
    """Total nats over ``tokens`` predictions that stand for ``bytes_predicted`` bytes of text, as an evaluation."""
    loss = nats / max(tokens, 1)
    perplexity = math.exp(loss) if loss < 700 else math.inf
    return Evaluation(loss, perplexity, nats / math.log(2) / max(bytes_predicted, 1.0))
