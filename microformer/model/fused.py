"""The costly parts of a block with their backward passes written out: the same arithmetic in fewer passes over memory.

They are for training on a CPU without a compiler, where autograd's own backward passes take up to twice as long. Each
stands beside the plain form that it must equal. Numbers are kept in the format of the weights (bf16, say).
"""

from typing import Any

import torch
from torch import Tensor


def pays(*tensors: Tensor) -> bool:
    """Whether these take part in training on a CPU, and no compiler does the fusing."""
    return (
        torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and all(tensor.requires_grad and tensor.device.type == "cpu" for tensor in tensors)
    )


class RMSNormalise(torch.autograd.Function):
    """``hidden / rms(hidden) * weight`` in the format of ``weight``. *Shape:* (…, width), (width,) -> (…, width)."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, eps: float) -> Tensor:
        hidden = hidden.float()
        rate = torch.linalg.vecdot(hidden, hidden).div_(hidden.shape[-1]).add_(eps).rsqrt_().unsqueeze(-1)
        normal = hidden * rate
        ctx.save_for_backward(normal, rate, weight)
        return (normal * weight).to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        normal, rate, weight = ctx.saved_tensors
        grad = grad.float()
        for_weight = (grad * normal).flatten(0, -2).sum(0).to(weight.dtype)
        grad = grad * weight
        along = torch.linalg.vecdot(grad, normal).div_(grad.shape[-1]).unsqueeze(-1)
        return torch.addcmul(grad, normal, along, value=-1).mul_(rate), for_weight, None


class Rotate(torch.autograd.Function):
    """Rotary positions of whole heads; turning back is the gradient.

    *Shape:* heads (…, seq, wide), cosines and sines (seq, wide) -> as heads.
    """

    @staticmethod
    def forward(ctx: Any, heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return torch.addcmul(heads * cos, heads.roll(heads.shape[-1] // 2, dims=-1), sin)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return torch.addcmul(grad * cos, grad.roll(grad.shape[-1] // 2, dims=-1), sin, value=-1), None, None


class Attend(torch.autograd.Function):
    """Softmax of masked scores times the values.

    *Shape:* query (batch, seq, head_dim) with the heads in the batch, key and value (batch, keys, head_dim); mask
    (batch or 1, seq or 1, keys).
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        scores = torch.baddbmm(mask.expand(*query.shape[:2], -1), query, key.mT, alpha=query.shape[-1] ** -0.5)
        shares = scores.softmax(dim=-1)  # (B, T, L)
        ctx.save_for_backward(query, key, value, shares)
        return torch.bmm(shares, value)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        query, key, value, shares = ctx.saved_tensors
        scale = query.shape[-1] ** -0.5
        grad = grad.contiguous()
        for_scores = torch.ops.aten._softmax_backward_data(torch.bmm(grad, value.mT), shares, -1, shares.dtype)
        for_query = torch.baddbmm(query, for_scores, key, beta=0, alpha=scale)
        for_key = torch.baddbmm(key, for_scores.mT, query, beta=0, alpha=scale)
        return for_query, for_key, torch.bmm(shares.mT, grad), None


class SquaredRelu(torch.autograd.Function):
    """``relu(wide) ** 2``. *Shape:* any -> the same."""

    @staticmethod
    def forward(ctx: Any, wide: Tensor) -> Tensor:
        positive = wide.relu()
        ctx.save_for_backward(positive)
        return positive.square()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return (grad * positive).mul_(2)


class GatedSilu(torch.autograd.Function):
    """``silu(gate) * value`` of the two halves of ``wide``. *Shape:* (…, 2 x inner) -> (…, inner)."""

    @staticmethod
    def forward(ctx: Any, wide: Tensor) -> Tensor:
        gate, value = wide.chunk(2, dim=-1)
        share = gate.sigmoid()
        active = gate * share
        ctx.save_for_backward(value, share, active)
        return active * value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        value, share, active = ctx.saved_tensors
        both = grad.new_empty(*grad.shape[:-1], 2 * grad.shape[-1])
        for_gate, for_value = both.chunk(2, dim=-1)
        torch.mul(grad, active, out=for_value)
        slope = torch.addcmul(share, active, 1 - share)  # of silu
        torch.mul(slope.mul_(value), grad, out=for_gate)
        return both
