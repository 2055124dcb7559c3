"""Multi-head attention (arXiv:1706.03762) with optional sharing of key and value heads (GQA, arXiv:2305.13245)."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.model import fused
from microformer.model.cache import KVCache
from microformer.model.config import ModelConfig
from microformer.model.norms import make_norm
from microformer.model.positions import alibi_slopes, rotate

LONGEST_PLAIN = 512
"""Tokens up to which written-out attention was measured to train faster on a CPU than PyTorch's kernel."""


@dataclass(frozen=True)
class Places:
    """Where the tokens of one forward pass stand, worked out once for all blocks.

    ``turns``: rotary cosines and sines (seq, 2, wide) or (batch, seq, 2, wide), or ``None``.
    ``mask``: added to the scores, (batch or 1, heads or 1, seq, keys), or ``None`` when every token sees all before it
    and nothing else has to be said (``causal``), or when a single token sees all there is.
    ``scores``: the same for training on a CPU, see ``score_mask``.
    """

    turns: Tensor | None
    mask: Tensor | None
    causal: bool
    scores: Tensor | None = None


class Attention(nn.Module):
    """Each token gathers from those before it. *Shape:* (batch, seq, d_model) -> the same."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.n_heads, self.kv_heads, self.head_dim = config.n_heads, config.kv_heads, config.head_dim
        self.qkv = nn.Linear(config.d_model, (self.n_heads + 2 * self.kv_heads) * self.head_dim, bias=config.bias)
        self.out = nn.Linear(config.d_model, config.d_model, bias=config.bias)
        self.query_norm = make_norm(config, self.head_dim) if config.qk_norm else None
        self.key_norm = make_norm(config, self.head_dim) if config.qk_norm else None

    def forward(self, hidden: Tensor, places: Places, cache: KVCache | None = None) -> Tensor:
        batch, seq, _ = hidden.shape
        heads = self.qkv(hidden).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)  # (B, H + 2 KV, T, hd)
        query, key, value = heads.split([self.n_heads, self.kv_heads, self.kv_heads], dim=1)
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        if places.turns is not None:
            query, key = rotate(query, places.turns), rotate(key, places.turns)
        if cache is not None:
            key, value = cache.put(self.layer, key, value)
            key, value = key.to(query.dtype), value.to(query.dtype)
        if self.kv_heads != self.n_heads:
            shared = self.n_heads // self.kv_heads
            key, value = key.repeat_interleave(shared, dim=1), value.repeat_interleave(shared, dim=1)
        mixed = attend(query, key, value, places)
        return self.out(mixed.transpose(1, 2).reshape(batch, seq, -1))


def attend(query: Tensor, key: Tensor, value: Tensor, places: Places) -> Tensor:
    """Attention by the way that is fastest here; all of them are ``plain_attention``, and so are their shapes.

    On a CPU the backward pass of PyTorch's kernel was measured 3 (fp32) and 8 (bf16) times slower than products and a
    softmax at 64 to 256 tokens; beyond, what those keep for the backward pass no longer fits a cache.
    """
    if fused.pays(query, key, value) and places.scores is not None:
        flat = (heads.flatten(0, 1) for heads in (query, key, value))
        mixed: Tensor = fused.Attend.apply(*flat, places.scores)
        return mixed.view_as(query)
    if plain_is_faster(query):
        return plain_attention(query, key, value, places)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=places.mask, is_causal=places.causal)


def plain_is_faster(query: Tensor) -> bool:
    """Whether products and a softmax are to be compiled instead of calling PyTorch's kernel: see ``attend``."""
    return query.device.type == "cpu" and query.requires_grad and query.shape[2] <= LONGEST_PLAIN


@functools.lru_cache(maxsize=8)
def score_mask(rows: int, seq: int, alibi_heads: int, dtype: torch.dtype) -> Tensor:
    """What ``fused.Attend`` adds to scores: no look ahead, and ALiBi's slopes if there are ``alibi_heads``.

    *Shape:* (1, seq, seq), or (rows x alibi_heads, seq, seq).
    """
    mask = torch.full((1, seq, seq), float("-inf")).triu(1)
    if alibi_heads:
        distance = torch.arange(seq)[:, None] - torch.arange(seq)
        mask = (mask - alibi_slopes(alibi_heads)[:, None, None] * distance).repeat(rows, 1, 1)
    return mask.to(dtype)


def plain_attention(query: Tensor, key: Tensor, value: Tensor, places: Places) -> Tensor:
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
    return scores.softmax(dim=-1) @ value
