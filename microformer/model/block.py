"""A transformer block: attention, feed-forward, and the two memories behind them."""

from torch import Tensor, nn

from microformer.model.adapter import Bottleneck
from microformer.model.attention import Attention, Places
from microformer.model.cache import KVCache
from microformer.model.config import ModelConfig
from microformer.model.dropout import dropout
from microformer.model.feed_forward import FeedForward
from microformer.model.memory import MemoryLayer
from microformer.model.norms import make_norm


class Block(nn.Module):
    """Attention and feed-forward around a residual stream, then the long-term adapter, then a session's layer.

    *Shape:* (batch, seq, d_model) -> the same.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.pre = config.norm_position == "pre"
        self.dropout = config.dropout
        self.attention_norm = make_norm(config)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = make_norm(config)
        self.feed_forward = FeedForward(config)
        self.long_term = Bottleneck(config.d_model, config.adapter_dim) if config.adapter_dim else None

    def forward(
        self, hidden: Tensor, places: Places, cache: KVCache | None = None, memory: MemoryLayer | None = None
    ) -> Tensor:
        return self.remember(self.feed(self.attend(hidden, places, cache)), memory)

    def attend(self, hidden: Tensor, places: Places, cache: KVCache | None = None) -> Tensor:
        """The first half: tokens look at one another."""
        if self.pre:
            return hidden + self.drop(self.attention(self.attention_norm(hidden), places, cache))
        return self.attention_norm(hidden + self.drop(self.attention(hidden, places, cache)))

    def feed(self, hidden: Tensor) -> Tensor:
        """The second half: each token for itself."""
        if self.pre:
            return hidden + self.drop(self.feed_forward(self.feed_forward_norm(hidden)))
        return self.feed_forward_norm(hidden + self.drop(self.feed_forward(hidden)))

    def remember(self, hidden: Tensor, memory: MemoryLayer | None = None) -> Tensor:
        """The memories: long-term, then the session's on top of it."""
        if self.long_term is not None:
            hidden = self.long_term(hidden)
        return hidden if memory is None else memory(hidden)

    def drop(self, hidden: Tensor) -> Tensor:
        return dropout(hidden, self.dropout) if self.dropout and self.training else hidden
