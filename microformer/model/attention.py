"""Multi-head attention (arXiv:1706.03762) with optional sharing of key and value heads (GQA, arXiv:2305.13245)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.model import fused
from microformer.model.cache import KVCache
from microformer.model.config import ModelConfig
from microformer.model.dropout import dropout
from microformer.model.norms import make_norm
from microformer.model.places import LONGEST_PLAIN, Places
from microformer.model.positions import rotate


class Attention(nn.Module):
    """Each token gathers from those that it sees. *Shape:* (batch, seq, d_model) -> the same."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.dropout = layer, config.attention_dropout
        self.n_heads, self.kv_heads, self.head_dim = config.n_heads, config.kv_heads, config.head_dim
        self.qkv = nn.Linear(config.d_model, (self.n_heads + 2 * self.kv_heads) * self.head_dim, bias=config.bias)
        self.out = nn.Linear(config.d_model, config.d_model, bias=config.bias)
        self.query_norm = make_norm(config, self.head_dim) if config.qk_norm else None
        self.key_norm = make_norm(config, self.head_dim) if config.qk_norm else None

    def forward(self, hidden: Tensor, places: Places, cache: KVCache | None = None) -> Tensor:
        query, key, value = self.heads(hidden, places, cache)
        mixed = attend(query, key, value, places, self.dropout if self.training else 0.0)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def heads(self, hidden: Tensor, places: Places, cache: KVCache | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, and the keys and values that they meet. *Shape:* (batch, heads, seq or keys, head_dim) each."""
        heads = self.qkv(hidden).view(*hidden.shape[:2], -1, self.head_dim).transpose(1, 2)  # (B, H + 2 KV, T, hd)
        query, key, value = heads.split([self.n_heads, self.kv_heads, self.kv_heads], dim=1)
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        if places.turns is not None:
            query = rotate(query, places.turns)
            key = rotate(key, places.turns) if places.key_turns is None else key
        if cache is not None:
            key, value = cache.put(self.layer, key, value)
            key, value = key.to(query.dtype), value.to(query.dtype)
        if places.key_turns is not None:
            key = rotate(key, places.key_turns)
        return query, shared(key, self.n_heads), shared(value, self.n_heads)

    def weights(self, hidden: Tensor, places: Places) -> Tensor:
        """How much each token takes from each. *Shape:* (batch, seq, d_model) -> (batch, heads, seq, seq)."""
        query, key, _ = self.heads(hidden, places)
        return plain_weights(query, key, places)


class CrossAttention(nn.Module):
    """Each token of a decoder gathers from all of a source, which has no order to it. *Shape:* as ``Attention``.

    Keys and values are made of the source once; a cache keeps them.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.dropout = layer, config.attention_dropout
        self.n_heads, self.kv_heads, self.head_dim = config.n_heads, config.kv_heads, config.head_dim
        self.query = nn.Linear(config.d_model, config.d_model, bias=config.bias)
        self.key_value = nn.Linear(config.d_model, 2 * self.kv_heads * self.head_dim, bias=config.bias)
        self.out = nn.Linear(config.d_model, config.d_model, bias=config.bias)
        self.query_norm = make_norm(config, self.head_dim) if config.qk_norm else None
        self.key_norm = make_norm(config, self.head_dim) if config.qk_norm else None

    def forward(self, hidden: Tensor, places: Places, cache: KVCache | None = None) -> Tensor:
        query, key, value = self.heads(hidden, places, cache)
        assert places.across is not None
        mixed = attend(query, key, value, places.across, self.dropout if self.training else 0.0)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def heads(self, hidden: Tensor, places: Places, cache: KVCache | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of the tokens, keys and values of the source. *Shape:* (batch, heads, seq or source, head_dim)."""
        query = self.query(hidden).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        query = query if self.query_norm is None else self.query_norm(query)
        known = None if cache is None else cache.across.get(self.layer)
        if known is None:
            assert places.source is not None
            both = self.key_value(places.source.hidden).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            key, value = both.chunk(2, dim=1)  # (B, KV, S, hd) each
            known = key if self.key_norm is None else self.key_norm(key), value
            if cache is not None:
                cache.across[self.layer] = known
        return query, shared(known[0], self.n_heads), shared(known[1], self.n_heads)

    def weights(self, hidden: Tensor, places: Places) -> Tensor:
        """How much each token takes from the source's. *Shape:* -> (batch, heads, seq, source)."""
        query, key, _ = self.heads(hidden, places)
        assert places.across is not None
        return plain_weights(query, key, places.across)


def shared(heads: Tensor, n_heads: int) -> Tensor:
    """Key or value heads, each as often as attention heads share it: (batch, kv_heads, …) -> (batch, n_heads, …)."""
    times = n_heads // heads.shape[1]
    return heads if times == 1 else heads.repeat_interleave(times, dim=1)


def attend(query: Tensor, key: Tensor, value: Tensor, places: Places, dropped: float = 0.0) -> Tensor:
    """Attention by the way that is fastest here; all of them are ``plain_attention``, and so are their shapes.

    ``dropped`` is the share of attention weights that dropout sets to 0.
    On a CPU the backward pass of PyTorch's kernel was measured 3 (fp32) and 8 (bf16) times slower than products and a
    softmax at 64 to 256 tokens; beyond, what those keep for the backward pass no longer fits a cache.
    """
    if not dropped and places.scores is not None and fused.pays(query, key, value):
        flat = (heads.flatten(0, 1) for heads in (query, key, value))
        mixed: Tensor = fused.Attend.apply(*flat, places.scores, places.halves)
        return mixed.view_as(query)
    if plain_is_faster(query) or (dropped and query.device.type == "cpu"):
        return plain_attention(query, key, value, places, dropped)
    mask = None if places.mask is None else places.mask.to(query.dtype)  # a GPU's kernels take no other
    return F.scaled_dot_product_attention(query, key, value, mask, dropped, places.causal)


def plain_is_faster(query: Tensor) -> bool:
    """Whether products and a softmax are to be compiled instead of calling PyTorch's kernel: see ``attend``."""
    return query.device.type == "cpu" and query.requires_grad and query.shape[2] <= LONGEST_PLAIN


def plain_attention(query: Tensor, key: Tensor, value: Tensor, places: Places, dropped: float = 0.0) -> Tensor:
    """Attention as it is written in the paper; the reference for the fused kernel.

    *Shape:* query (batch, heads, seq, head_dim), key and value (batch, heads, keys, head_dim) -> as query.
    """
    weights = plain_weights(query, key, places)
    return (dropout(weights, dropped) if dropped else weights) @ value


def plain_weights(query: Tensor, key: Tensor, places: Places) -> Tensor:
    """What share of each key's value each query takes. *Shape:* -> (batch, heads, seq, keys)."""
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5  # (B, H, T, L)
    if places.causal:
        seq = query.shape[2]
        future = torch.ones(seq, seq, dtype=torch.bool, device=query.device).triu(1)
        scores = scores.masked_fill(future, float("-inf"))
    if places.mask is not None:
        scores = scores + places.mask.to(scores.dtype)
    return scores.softmax(dim=-1)
