"""The optimizer of a lesson: momentum whose steps are made orthogonal (Muon, Jordan et al. 2024).

An adapter is two thin matrices. Steps that move all their directions alike learn a fact in about half the steps that
Adam takes. ``torch.optim.Muon`` takes one matrix at a time; these are stacks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from microformer.training.optimizers import orthogonal

SHRINK_OVER = 60
"""After this many steps a step is half as large as the first, after twice as many a third."""


class OrthogonalMomentum:
    """Updates stacks of matrices (layers, rows, columns) in place from gradients that are handed in."""

    def __init__(self, weights: Sequence[Tensor], learning_rates: Sequence[float], momentum: float = 0.85) -> None:
        self.weights = list(weights)
        self.learning_rates = list(learning_rates)
        self.momentum = momentum
        self.averages = [torch.zeros_like(weight) for weight in weights]
        self.steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step down the gradients, each a stack like its weights.

        Orthogonal steps do not shrink with the gradient, so they have to shrink by themselves to come to rest.
        """
        shrunk = 1 / (1 + self.steps / SHRINK_OVER)
        self.steps += 1
        for weight, average, gradient, rate in zip(
            self.weights, self.averages, gradients, self.learning_rates, strict=True
        ):
            average.mul_(self.momentum).add_(gradient)
            weight -= shrunk * rate * orthogonal(gradient + self.momentum * average)
