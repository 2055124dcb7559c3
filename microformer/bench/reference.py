"""A plain small GPT and its training step, as most people would write it: what training speed is compared with.

Learned positions, LayerNorm, GELU, fp32, eager, AdamW: the shape of nanoGPT's recipe (github.com/karpathy/nanoGPT).
It shares no code with the rest of the package, so that what makes one faster does not make the other.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ReferenceBlock(nn.Module):
    """Attention and a feed-forward part, each normalised first. *Shape:* (batch, seq, width) -> the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, hidden: Tensor) -> Tensor:
        batch, seq, width = hidden.shape
        parts = self.qkv(self.norm1(hidden)).split(width, dim=-1)
        query, key, value = (part.view(batch, seq, self.heads, -1).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        hidden = hidden + self.out(mixed.transpose(1, 2).reshape(batch, seq, width))
        return hidden + self.feed_forward(self.norm2(hidden))


class ReferenceGPT(nn.Module):
    """*Shape:* (batch, seq) of int64 -> (batch, seq, vocab)."""

    def __init__(self, vocab_size: int, *, width: int, layers: int, heads: int, context: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(ReferenceBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for weight in self.parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            hidden = block(hidden)
        return F.linear(self.norm(hidden), self.tokens.weight)


class ReferenceTrainer:
    """Draws a random batch and takes one AdamW step on it, with gradients clipped to 1."""

    def __init__(self, model: ReferenceGPT, tokens: np.ndarray, *, batch_size: int, context: int) -> None:
        self.model, self.tokens, self.batch_size, self.context = model, tokens, batch_size, context
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)

    def step(self) -> float:
        starts = torch.randint(len(self.tokens) - self.context, (self.batch_size,))
        rows = [torch.from_numpy(self.tokens[i : i + self.context + 1].astype(np.int64)) for i in starts.tolist()]
        windows = torch.stack(rows)
        logits = self.model(windows[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()
