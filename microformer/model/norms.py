"""Normalisation: RMSNorm (Zhang & Sennrich 2019, arXiv:1910.07467) or LayerNorm (Ba et al. 2016, arXiv:1607.06450)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.model import fused
from microformer.model.config import ModelConfig


class RMSNorm(nn.Module):
    """Divide by the root of the mean square, then scale. *Shape:* (…, width) -> the same.

    The sum of squares as a product of the vector with itself takes a third less time on a CPU than ``nn.RMSNorm``.
    What comes out is in the number format of the norm's weight, as what reads it expects.
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.width, self.eps = width, eps

    def forward(self, hidden: Tensor) -> Tensor:
        if fused.pays(hidden, self.weight):
            normal: Tensor = fused.RMSNormalise.apply(hidden, self.weight, self.eps)
            return normal
        mean_square = torch.linalg.vecdot(hidden, hidden) / self.width
        return (hidden * (mean_square + self.eps).rsqrt().unsqueeze(-1) * self.weight).to(self.weight.dtype)


class LayerNorm(nn.LayerNorm):
    """PyTorch's, whose output is in the number format of its weight, whatever it reads."""

    def forward(self, hidden: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(hidden.dtype)
        weight = self.weight.to(hidden.dtype)
        return F.layer_norm(hidden, self.normalized_shape, weight, bias, self.eps).to(self.weight.dtype)


def make_norm(config: ModelConfig, width: int | None = None) -> nn.Module:
    """The norm that the configuration asks for, over the last dimension (``d_model`` unless given)."""
    width = width or config.d_model
    if config.norm == "rmsnorm":
        return RMSNorm(width, config.norm_eps)
    return LayerNorm(width, eps=config.norm_eps, bias=config.bias)
