"""The costly parts of a block with their backward passes written out: the same arithmetic in fewer passes over memory.

They are for training on a CPU without a compiler, where autograd's own backward passes take up to twice as long. Each
stands beside the plain form that it must equal. Activations are kept in the format of the weights (bf16, say).
"""

from typing import Any

import torch
from torch import Tensor

WORTH_HALVING = 128
"""Tokens from which attention in two halves was measured to be faster."""


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
        inverse_rms = torch.linalg.vecdot(hidden, hidden).div_(hidden.shape[-1]).add_(eps).rsqrt_().unsqueeze(-1)
        normalised = hidden * inverse_rms
        ctx.save_for_backward(normalised, inverse_rms, weight)
        return (normalised * weight).to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        normalised, inverse_rms, weight = ctx.saved_tensors
        grad = grad.float()
        grad_weight = (grad * normalised).flatten(0, -2).sum(0).to(weight.dtype)
        grad = grad * weight
        projection = torch.linalg.vecdot(grad, normalised).div_(grad.shape[-1]).unsqueeze(-1)
        return torch.addcmul(grad, normalised, projection, value=-1).mul_(inverse_rms), grad_weight, None


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

    With ``halves``, for a mask that hides the second half of the text from the first, that quarter is left out.
    *Shape:* query (batch, seq, head_dim) with the heads in the batch, key and value (batch, keys, head_dim); mask
    (batch or 1, seq or 1, keys).
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, halves: bool = False) -> Tensor:
        ctx.spans = _spans(query.shape[1], key.shape[1], halves)
        scale, mixed, all_weights = query.shape[-1] ** -0.5, torch.empty_like(query), []
        mask = mask.expand(*query.shape[:2], -1)
        for rows, seen in ctx.spans:
            scores = torch.baddbmm(mask[:, rows, seen], query[:, rows], key[:, seen].mT, alpha=scale)
            all_weights.append(scores.softmax(dim=-1))  # (B, rows, seen)
            torch.bmm(all_weights[-1], value[:, seen], out=mixed[:, rows])
        ctx.save_for_backward(query, key, value, *all_weights)
        return mixed

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query, key, value, *all_weights = ctx.saved_tensors
        scale, grad = query.shape[-1] ** -0.5, grad.contiguous()
        grad_query, grad_key, grad_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
        for weights, (rows, seen) in zip(all_weights, ctx.spans, strict=True):
            grad_weights = torch.bmm(grad[:, rows], value[:, seen].mT)
            grad_scores = torch.ops.aten._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
            torch.baddbmm(query[:, rows], grad_scores, key[:, seen], beta=0, alpha=scale, out=grad_query[:, rows])
            grad_key[:, seen].baddbmm_(grad_scores.mT, query[:, rows], alpha=scale)
            grad_value[:, seen].baddbmm_(weights.mT, grad[:, rows])
        return grad_query, grad_key, grad_value, None, None


def _spans(seq: int, keys: int, halves: bool) -> list[tuple[slice, slice]]:
    """Which tokens look at which keys: all at all, or those of the first half only at one another."""
    if not halves:
        return [(slice(0, seq), slice(0, keys))]
    half = seq // 2
    return [(slice(0, half), slice(0, half)), (slice(half, seq), slice(0, keys))]


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
        sigmoid = gate.sigmoid()
        activated = gate * sigmoid
        ctx.save_for_backward(value, sigmoid, activated)
        return activated * value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        value, sigmoid, activated = ctx.saved_tensors
        grad_wide = grad.new_empty(*grad.shape[:-1], 2 * grad.shape[-1])
        grad_gate, grad_value = grad_wide.chunk(2, dim=-1)
        torch.mul(grad, activated, out=grad_value)
        derivative = torch.addcmul(sigmoid, activated, 1 - sigmoid)  # of silu
        torch.mul(derivative.mul_(value), grad, out=grad_gate)
        return grad_wide
