"""The bottleneck adapter (Houlsby et al. 2019, arXiv:1902.00751): a small detour beside the identity."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def bottleneck(hidden: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """``hidden + gelu(hidden @ down) @ up``: what long-term and session adapters both compute.

    *Shape:* hidden (batch, seq, d_model); down (d_model, dim) and up (dim, d_model), or one pair for each row:
    (batch, d_model, dim) and (batch, dim, d_model).
    """
    return hidden + F.gelu(hidden.to(down.dtype) @ down) @ up


class Bottleneck(nn.Module):
    """A block's long-term adapter. ``up`` starts at zero, so that a new adapter is the identity."""

    def __init__(self, d_model: int, dim: int) -> None:
        super().__init__()
        self.down = nn.Parameter(nn.init.normal_(torch.empty(d_model, dim), std=d_model**-0.5))
        self.up = nn.Parameter(torch.zeros(dim, d_model))

    def forward(self, hidden: Tensor) -> Tensor:
        return bottleneck(hidden, self.down, self.up)
