"""Where tokens stand and what they may attend to, computed once for all blocks of a stack."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from microformer.model.config import ModelConfig
from microformer.model.positions import alibi_slopes

LONGEST_PLAIN = 512
"""Tokens up to which written-out attention was measured to train faster on a CPU than PyTorch's kernel."""


@dataclass(frozen=True)
class Encoded:
    """What an encoder made of a batch of sources, for a decoder to look at.

    *Shape:* hidden (batch, source, d_model); ``lengths`` (batch,): how many tokens of each row count, or ``None``.
    """

    hidden: Tensor
    lengths: Tensor | None = None

    def rows(self, chosen: Tensor) -> "Encoded":
        """Row ``i`` is what row ``chosen[i]`` of this one was."""
        return Encoded(self.hidden[chosen], None if self.lengths is None else self.lengths[chosen])


@dataclass(frozen=True)
class Places:
    """What attention needs to know of the tokens in one forward pass, computed once for all blocks.

    ``turns``: rotary cosines and sines (seq, 2, wide) or (batch, seq, 2, wide), or ``None``.
    ``mask``: added to the scores, (batch or 1, heads or 1, seq or 1, keys), or ``None`` when every token sees itself
    and all before it (``causal``), or everything.
    ``scores``: the same with the heads in the batch, for training on a CPU (``fused.Attend``), or ``None``; ``halves``:
    whether they hide the second half of the text from all of the first.
    ``key_turns``: the same as ``turns`` for keys that a cache keeps unturned, (batch, keys, 2, wide).
    ``source``: what cross-attention looks at; ``across``: its places there.
    """

    turns: Tensor | None
    mask: Tensor | None
    causal: bool
    scores: Tensor | None = None
    halves: bool = False
    key_turns: Tensor | None = None
    source: Encoded | None = None
    across: "Places | None" = None


def attention_mask(
    config: ModelConfig, queries: Tensor, keys: Tensor, *, slopes: Tensor | None = None, lengths: Tensor | None = None
) -> Tensor:
    """What is added to the scores of queries and keys at these places: -inf hides a key, ALiBi takes from far ones.

    *Shape:* queries (batch or 1, seq), keys (batch or 1, keys), ``slopes`` of ALiBi (heads,), ``lengths`` (batch,) of
    texts padded on the right -> (batch or 1, heads or 1, seq, keys).
    """
    distance = queries[:, :, None] - keys[:, None]  # (B, T, L)
    hidden = distance < 0 if config.causal else torch.zeros_like(distance, dtype=torch.bool)
    if lengths is not None:
        hidden = hidden | (keys >= lengths[:, None])[:, None]
    if config.window is not None:
        hidden = hidden | ((distance.abs() >= config.window) & (keys >= config.sinks)[:, None])
    hidden = hidden & (distance != 0)  # the softmax of padding that sees nothing at all would not be a number
    mask = torch.zeros(hidden.shape, device=keys.device).masked_fill(hidden, float("-inf"))[:, None]
    if slopes is not None:
        mask = mask - slopes[:, None, None] * distance.abs()[:, None]
    return mask


def padding_mask(lengths: Tensor, longest: int) -> Tensor:
    """A mask that hides what is padding. *Shape:* (batch,) -> (batch, 1, 1, longest)."""
    hidden = torch.arange(longest, device=lengths.device) >= lengths.clamp(min=1)[:, None]
    return torch.zeros(hidden.shape, device=lengths.device).masked_fill(hidden, float("-inf"))[:, None, None]


@functools.lru_cache(maxsize=8)
def score_mask(config: ModelConfig, rows: int, seq: int, dtype: torch.dtype) -> Tensor:
    """What ``fused.Attend`` adds to the scores of whole texts. *Shape:* (1 or rows x heads, seq, seq)."""
    places = torch.arange(seq)[None]
    slopes = alibi_slopes(config.n_heads) if config.position == "alibi" else None
    mask = attention_mask(config, places, places, slopes=slopes)
    return heads_in_batch(mask.to(dtype), rows, mask.shape[1])


@functools.lru_cache(maxsize=8)
def alibi_row(n_heads: int, longest: int, device: torch.device) -> Tensor:
    """What ALiBi adds to the scores of a text's last token; kept, because each token written needs the end of it.

    *Shape:* (1, heads, 1, longest).
    """
    distance = torch.arange(longest - 1, -1, -1, device=device)
    return -alibi_slopes(n_heads).to(device)[None, :, None, None] * distance


def heads_in_batch(mask: Tensor, rows: int, heads: int) -> Tensor:
    """*Shape:* (batch or 1, heads or 1, seq or 1, keys) -> (rows x heads or 1, seq or 1, keys)."""
    if mask.shape[0] == mask.shape[1] == 1:
        return mask[0]
    return mask.expand(rows, heads, -1, -1).flatten(0, 1)


def source_places(config: ModelConfig, source: Encoded, like: Tensor | None) -> Places:
    """How cross-attention looks at a source. ``like`` is a weight of the blocks that look where ``fused`` pays."""
    mask = None if source.lengths is None else padding_mask(source.lengths, source.hidden.shape[1])
    if like is None or source.hidden.shape[1] > LONGEST_PLAIN:
        return Places(None, mask, causal=False)
    rows, longest = source.hidden.shape[:2]
    scores = torch.zeros(1, 1, 1, longest) if mask is None else mask
    return Places(None, mask, causal=False, scores=heads_in_batch(scores.to(like.dtype), rows, config.n_heads))
