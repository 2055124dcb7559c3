"""A transformer block: attention, feed-forward, and the two memories behind them."""

from torch import Tensor, nn

from microformer.errors import UserError
from microformer.model import parts
from microformer.model.adapter import Bottleneck
from microformer.model.attention import Attention, CrossAttention
from microformer.model.cache import KVCache
from microformer.model.config import ModelConfig
from microformer.model.dropout import dropout
from microformer.model.feed_forward import FeedForward
from microformer.model.memory import MemoryLayer
from microformer.model.norms import make_norm
from microformer.model.places import Places


class Block(nn.Module):
    """Attention and feed-forward around a residual stream, then the long-term adapter, then a session's layer.

    *Shape:* (batch, seq, d_model) -> the same.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.pre = config.norm_position == "pre"
        self.dropout = config.dropout
        self.attention_norm = make_norm(config)
        self.attention = parts.part("attention", config.attention, Attention)(config, layer)
        crosses = config.kind == "encoder_decoder"
        self.cross_norm = make_norm(config) if crosses else None
        self.cross_attention = CrossAttention(config, layer) if crosses else None
        self.feed_forward_norm = make_norm(config)
        self.feed_forward = parts.part("feed_forward", config.feed_forward, FeedForward)(config)
        self.long_term = Bottleneck(config.d_model, config.adapter_dim) if config.adapter_dim else None

    def forward(
        self, hidden: Tensor, places: Places, cache: KVCache | None = None, memory: MemoryLayer | None = None
    ) -> Tensor:
        return self.remember(self.feed(self.attend(hidden, places, cache)), memory)

    def attend(self, hidden: Tensor, places: Places, cache: KVCache | None = None) -> Tensor:
        """The first half: tokens look at one another and, in an encoder_decoder, at the source."""
        hidden = self.around(hidden, self.attention_norm, self.attention, places, cache)
        if self.cross_norm is None or self.cross_attention is None:
            return hidden
        return self.around(hidden, self.cross_norm, self.cross_attention, places, cache)

    def weights(self, hidden: Tensor, places: Places, *, across: bool = False) -> Tensor:
        """How much each token takes from each, or with ``across`` from each of the source.

        *Shape:* (batch, seq, d_model) -> (batch, heads, seq, keys). Raises ``UserError`` when the part cannot tell.
        """
        norm, part = self.attention_norm, self.attention
        if across and self.cross_norm is not None and self.cross_attention is not None:
            hidden = self.around(hidden, norm, part, places)
            norm, part = self.cross_norm, self.cross_attention
        if not hasattr(part, "weights"):
            raise UserError("This model's attention does not tell its weights; give its class a method weights.")
        weights: Tensor = part.weights(norm(hidden) if self.pre else hidden, places)
        return weights

    def feed(self, hidden: Tensor) -> Tensor:
        """The second half: each token for itself."""
        return self.around(hidden, self.feed_forward_norm, self.feed_forward)

    def around(self, hidden: Tensor, norm: nn.Module, part: nn.Module, *given: object) -> Tensor:
        """What a part adds to the residual stream, with the norm before the part or after the sum."""
        if self.pre:
            return hidden + self.drop(part(norm(hidden), *given))
        read = hidden.to(next(norm.parameters()).dtype)  # what comes from the embeddings may be finer
        return norm(hidden + self.drop(part(read, *given)))

    def remember(self, hidden: Tensor, memory: MemoryLayer | None = None) -> Tensor:
        """What the memories add: the long-term adapter, then the session's on top of it."""
        if self.long_term is not None:
            hidden = self.long_term(hidden)
        return hidden if memory is None else memory(hidden)

    def drop(self, hidden: Tensor) -> Tensor:
        """Dropout, in training. *Shape:* any -> the same."""
        return dropout(hidden, self.dropout) if self.dropout and self.training else hidden
