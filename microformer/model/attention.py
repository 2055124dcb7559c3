"""Multi-head attention (arXiv:1706.03762) with optional sharing of key and value heads (GQA, arXiv:2305.13245)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.model.cache import KVCache
from microformer.model.config import ModelConfig
from microformer.model.norms import make_norm
from microformer.model.positions import rotate


@dataclass(frozen=True)
class Places:
    """Where the tokens of one forward pass stand, worked out once for all blocks.

    ``turns``: rotary cosines and sines (seq, 2, wide) or (batch, seq, 2, wide), or ``None``.
    ``mask``: added to the scores, (batch or 1, heads or 1, seq, keys), or ``None`` when every token sees all before it
    and nothing else has to be said (``causal``), or when a single token sees all there is.
    """

    turns: Tensor | None
    mask: Tensor | None
    causal: bool


class Attention(nn.Module):
    """Each token gathers from those before it. *Shape:* (batch, seq, d_model) -> the same."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.n_heads, self.kv_heads, self.head_dim = config.n_heads, config.kv_heads, config.head_dim
        self.dropout = config.dropout
        self.qkv = nn.Linear(config.d_model, (self.n_heads + 2 * self.kv_heads) * self.head_dim, bias=config.bias)
        self.out = nn.Linear(config.d_model, config.d_model, bias=config.bias)
        self.query_norm = make_norm(config, self.head_dim) if config.qk_norm else None
        self.key_norm = make_norm(config, self.head_dim) if config.qk_norm else None

    def forward(self, hidden: Tensor, places: Places, cache: KVCache | None = None) -> Tensor:
        batch, seq, _ = hidden.shape
        heads = self.qkv(hidden).view(batch, seq, -1, self.head_dim).transpose(1, 2)  # (B, H + 2 KV, T, hd)
        query, key, value = heads.split([self.n_heads, self.kv_heads, self.kv_heads], dim=1)
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
            heads = torch.cat([query, key], dim=1)
        if places.turns is not None:
            both = rotate(heads[:, : self.n_heads + self.kv_heads], places.turns)
            query, key = both.split([self.n_heads, self.kv_heads], dim=1)
        if cache is not None:
            key, value = cache.put(self.layer, key, value)
            key, value = key.to(query.dtype), value.to(query.dtype)
        if self.kv_heads != self.n_heads:
            shared = self.n_heads // self.kv_heads
            key, value = key.repeat_interleave(shared, dim=1), value.repeat_interleave(shared, dim=1)
        dropout = self.dropout if self.training else 0.0
        if plain_is_faster(query):
            mixed = plain_attention(query, key, value.to(query.dtype), places, dropout)
        else:
            mixed = F.scaled_dot_product_attention(
                query, key, value.to(query.dtype), attn_mask=places.mask, dropout_p=dropout, is_causal=places.causal
            )
        return self.out(mixed.transpose(1, 2).reshape(batch, seq, -1))


def plain_is_faster(query: Tensor) -> bool:
    """Whether written-out attention beats the fused kernel for this shape on this device.

    On a CPU the fused kernel's bf16 backward was measured four times slower than three plain operations at 64 tokens,
    and as fast at 256 (on one with bf16 instructions). Everywhere else the fused kernel wins.
    """
    short = query.shape[2] < 256
    return query.device.type == "cpu" and query.requires_grad and query.dtype == torch.bfloat16 and short


def plain_attention(query: Tensor, key: Tensor, value: Tensor, places: Places, dropout: float = 0.0) -> Tensor:
    """Attention as it is written in the paper; the reference for the fused kernel.

    *Shape:* query (batch, heads, seq, head_dim), key and value (batch, heads, keys, head_dim) -> as query.
    """
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5  # (B, H, T, L)
    if places.causal:
        seq = query.shape[2]
        future = torch.ones(seq, seq, dtype=torch.bool, device=query.device).triu(1)
        scores = scores.masked_fill(future, float("-inf"))
    if places.mask is not None:
        scores = scores + places.mask.to(scores.dtype)
    return F.dropout(scores.softmax(dim=-1), dropout) @ value
