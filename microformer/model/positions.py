"""How a model knows the order of tokens: tables that are computed. (Learned positions are an embedding.)"""

import math

import torch
from torch import Tensor

from microformer.model import fused


def sinusoidal_table(length: int, d_model: int) -> Tensor:
    """Fixed position vectors of "Attention is all you need" (arXiv:1706.03762). *Shape:* (length, d_model)."""
    places = torch.arange(length, dtype=torch.float32)[:, None]
    rates = torch.exp(torch.arange(0, d_model, 2, dtype=torch.float32) * (-math.log(10_000.0) / d_model))
    table = torch.zeros(length, d_model)
    table[:, 0::2] = torch.sin(places * rates)
    table[:, 1::2] = torch.cos(places * rates[: d_model // 2])
    return table


def rotary_table(length: int, rotary_dim: int, base: float) -> Tensor:
    """What rotary positions (RoFormer, arXiv:2104.09864) multiply with. *Shape:* (length, 2, rotary_dim).

    First the cosines, once for each half of a head; then the sines, negative for the first half.
    """
    rates = base ** (-torch.arange(0, rotary_dim, 2, dtype=torch.float32) / rotary_dim)
    angles = torch.arange(length, dtype=torch.float32)[:, None] * rates
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)], dim=1)


def rotate(heads: Tensor, turns: Tensor) -> Tensor:
    """Turn the first dimensions of each head by its position's angles; the halves of a head form the pairs (as Llama).

    *Shape:* heads (batch, n_heads, seq, head_dim); turns (seq, 2, wide) or (batch, seq, 2, wide), wide <= head_dim.
    """
    wide = turns.shape[-1]
    if turns.dim() == 4:
        turns = turns[:, None]  # one for all heads of a row
    cos, sin = turns.to(heads.dtype).unbind(-2)
    if wide == heads.shape[-1] and fused.pays(heads):
        whole: Tensor = fused.Rotate.apply(heads, cos, sin)
        return whole
    turned = heads if wide == heads.shape[-1] else heads[..., :wide]
    turned = torch.addcmul(turned * cos, turned.roll(wide // 2, dims=-1), sin)  # rolling swaps the halves
    return turned if wide == heads.shape[-1] else torch.cat([turned, heads[..., wide:]], dim=-1)


def alibi_slopes(n_heads: int) -> Tensor:
    """How fast each head's attention falls with distance (ALiBi, arXiv:2108.12409). *Shape:* (n_heads,)."""
    power = 2 ** math.floor(math.log2(n_heads))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    slopes += [2 ** (-4 * (2 * i + 1) / power) for i in range(n_heads - power)]
    return torch.tensor(slopes)
