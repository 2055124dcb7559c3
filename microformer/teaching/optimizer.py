"""The optimizer of a lesson: momentum whose steps are made orthogonal (Muon, Jordan et al. 2024).

An adapter is two thin matrices. Steps that move all their directions alike learn a fact in about half the steps that
Adam takes (``tests/benchmarks/README.md``). ``torch.optim.Muon`` takes one matrix at a time; these are stacks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class OrthogonalMomentum:
    """Updates stacks of matrices (layers, rows, columns) in place from gradients that are handed in."""

    def __init__(self, weights: Sequence[Tensor], learning_rate: float, momentum: float = 0.85) -> None:
        self.weights = list(weights)
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.averages = [torch.zeros_like(weight) for weight in weights]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step down the gradients, each a stack like its weights."""
        for weight, average, gradient in zip(self.weights, self.averages, gradients, strict=True):
            average.mul_(self.momentum).add_(gradient)
            weight -= self.learning_rate * orthogonal(gradient + self.momentum * average)


def orthogonal(matrices: Tensor) -> Tensor:
    """The matrices with all singular values brought near 1, by five steps of a Newton-Schulz iteration.

    *Shape:* (layers, rows, columns) -> the same.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    flat = matrices.mT if tall else matrices
    flat = flat / (flat.norm(dim=(-2, -1), keepdim=True) + 1e-12)
    for _ in range(5):
        square = flat @ flat.mT
        flat = 3.4445 * flat + (-4.7750 * square + 2.0315 * square @ square) @ flat
    return flat.mT if tall else flat
