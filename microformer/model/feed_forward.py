"""The feed-forward part of a block: wide, non-linear, and back; gated or plain."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.model import fused
from microformer.model.config import ModelConfig

ACTIVATE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu_squared": lambda x: F.relu(x).square(),  # Primer, arXiv:2109.08668; the cheapest on a CPU
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "swiglu": F.silu,  # of the gate; Shazeer 2020, arXiv:2002.05202
    "geglu": F.gelu,
}

FUSED: dict[str, type[torch.autograd.Function]] = {"relu_squared": fused.SquaredRelu, "swiglu": fused.GatedSilu}


class FeedForward(nn.Module):
    """``down(act(up(x)))``, or with a gate ``down(act(gate(x)) * up(x))``.

    *Shape:* (batch, seq, d_model) -> the same.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gated = config.gated
        self.activate, self.fused = ACTIVATE[config.activation], FUSED.get(config.activation)
        inner = config.ff_dim
        # Gate and up share one matrix product: the first half of its output is the gate.
        self.up = nn.Linear(config.d_model, 2 * inner if self.gated else inner, bias=config.bias)
        self.down = nn.Linear(inner, config.d_model, bias=config.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        wide = self.up(hidden)
        if self.fused is not None and fused.pays(wide):
            return self.down(self.fused.apply(wide))
        if self.gated:
            gate, value = wide.chunk(2, dim=-1)
            return self.down(self.activate(gate) * value)
        return self.down(self.activate(wide))
