"""The decoder: token embeddings, a stack of blocks, a head over the vocabulary.

It knows nothing of text, training or visitors. A session memory is data that is handed to ``forward``.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.errors import UserError
from microformer.model import fused
from microformer.model.attention import LONGEST_PLAIN, Places, score_mask
from microformer.model.block import Block
from microformer.model.cache import KVCache
from microformer.model.config import ModelConfig
from microformer.model.dropout import drawn_again, dropout
from microformer.model.memory import Memory
from microformer.model.norms import make_norm
from microformer.model.positions import alibi_slopes, rotary_table, sinusoidal_table

NEVER_SEEN = -1e4
"""Bias on the logit of a token that the training text never had: finite, and far below any other."""


class Transformer(nn.Module):
    """A causal language model built from the parts that its configuration names.

    ``logit_bias`` (vocab,) is 0 for tokens the training text had and ``NEVER_SEEN`` for the others. Without it the
    softmax pushes all unseen embeddings to one point, and names spelled with them could not be told apart when taught.
    ``recompute`` makes training keep only what goes in and out of each block: less memory, a third more time.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        self.tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.positions = nn.Embedding(config.max_seq_len, config.d_model) if config.position == "learned" else None
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.norm = make_norm(config) if config.norm_position == "pre" else nn.Identity()
        self.unembedding = None if config.tie_weights else nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.register_buffer("logit_bias", torch.zeros(config.vocab_size))
        self.register_buffer("position_table", _position_table(config), persistent=False)
        self.logit_bias: Tensor
        self.position_table: Tensor | None
        self._start_weights()

    def forward(
        self,
        tokens: Tensor,
        *,
        session: Memory | None = None,
        cache: KVCache | None = None,
        only: Tensor | None = None,
    ) -> Tensor:
        """Logits of the token that follows each token.

        *Shape:* tokens (batch, seq) of int64 -> (batch, seq, vocab), or (batch, seq, len(only)) where only the tokens
        ``only`` are asked for, as in training. With a ``cache``, ``tokens`` follow what each of its rows has read so
        far, and are added to it. Raises ``UserError`` when they do not fit the context.
        """
        return self.logits(self.hidden(tokens, session=session, cache=cache), session, only)

    def hidden(self, tokens: Tensor, *, session: Memory | None = None, cache: KVCache | None = None) -> Tensor:
        """What the head reads. *Shape:* (batch, seq) -> (batch, seq, d_model)."""
        places = self.places(tokens.shape[1], cache, rows=len(tokens))
        hidden = self.run_blocks(self.embed(tokens, cache), places, session=session, cache=cache)
        if cache is not None:
            cache.advance(tokens.shape[1])
        return self.norm(hidden)

    @property
    def head(self) -> Tensor:
        """The table that next tokens are read from. *Shape:* (vocab, d_model)."""
        return self.tokens.weight if self.unembedding is None else self.unembedding.weight

    def logits(self, hidden: Tensor, session: Memory | None = None, only: Tensor | None = None) -> Tensor:
        """*Shape:* (…, d_model) -> (…, vocab), or (…, len(only)) for the tokens ``only``, without any bias."""
        bias = self.logit_bias if session is None else session.open_logits(self.logit_bias)
        if only is not None:
            return F.linear(hidden, self.head[only].to(hidden.dtype))
        return F.linear(hidden, self.head.to(hidden.dtype)) + bias

    def embed(self, tokens: Tensor, cache: KVCache | None = None) -> Tensor:
        """Token vectors, with what position adds to them. *Shape:* (batch, seq) -> (batch, seq, d_model)."""
        hidden = self.tokens(tokens)
        if self.positions is not None or self.config.position == "sinusoidal":
            table = self.position_table if self.positions is None else self.positions.weight
            assert table is not None
            hidden = hidden + self._read(table, tokens.shape[1], cache)
        return dropout(hidden, self.config.dropout) if self.config.dropout and self.training else hidden

    def run_blocks(
        self,
        hidden: Tensor,
        places: Places,
        *,
        first: int = 0,
        last: int | None = None,
        session: Memory | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Blocks ``first`` up to, not including, ``last``. *Shape:* (batch, seq, d_model) -> the same."""
        for index in range(first, self.config.n_layers if last is None else last):
            memory = None if session is None else session.layer(index)
            if self.recompute and torch.is_grad_enabled() and cache is None and memory is None:
                hidden = _keep_little(self.blocks[index], hidden, places)
            else:
                hidden = self.blocks[index](hidden, places, cache, memory)
        return hidden

    def places(self, seq: int, cache: KVCache | None = None, *, rows: int | None = None) -> Places:
        """Where ``seq`` tokens of each of ``rows`` sequences stand, after those that ``cache`` holds."""
        start = 0 if cache is None else max(cache.lengths)
        if start + seq > self.config.max_seq_len:
            raise UserError(
                f"The text is {start + seq} tokens long, but this model's context is {self.config.max_seq_len}; "
                "shorten the text."
            )
        turns = None
        if self.config.position == "rotary":
            assert self.position_table is not None
            turns = self._read(self.position_table, seq, cache)
        first = self.blocks[0]
        assert isinstance(first, Block)
        weight = first.attention.qkv.weight
        if cache is None and rows and 1 < seq <= LONGEST_PLAIN and fused.pays(weight):
            alibi_heads = self.config.n_heads if self.config.position == "alibi" else 0
            return Places(turns, None, causal=True, scores=score_mask(rows, seq, alibi_heads, weight.dtype))
        mask = self._mask(seq, cache)
        return Places(turns, mask, causal=mask is None and seq > 1)

    @torch.no_grad()
    def lift_unseen(self) -> None:
        """Make the vectors of tokens the training text never had as long as the others' are on average.

        Nothing has trained them, so they keep their random directions and, without this, their first, small length:
        taught names that need them could never be as likely as anything else. What the model says does not change.
        """
        unseen = self.logit_bias < 0
        if not bool(unseen.any()) or bool(unseen.all()):
            return
        tables = [self.tokens.weight] if self.unembedding is None else [self.tokens.weight, self.unembedding.weight]
        for table in tables:
            lengths = table.norm(dim=1)
            usual = lengths[~unseen].mean()
            short = unseen & (lengths < usual / 2) & (lengths > 0)
            table[short] *= (usual / lengths[short])[:, None]

    def new_cache(self, batch_size: int = 1, capacity: int | None = None) -> KVCache:
        """An empty cache for ``batch_size`` rows of at most ``capacity`` tokens (the context, unless given)."""
        weight = self.tokens.weight
        return KVCache(
            self.config, batch_size, capacity or self.config.max_seq_len, dtype=weight.dtype, device=weight.device
        )

    def _read(self, table: Tensor, seq: int, cache: KVCache | None) -> Tensor:
        """Rows of a position table for the next tokens: (seq, …), or (batch, seq, …) when rows stand differently."""
        if cache is None or cache.uniform:
            start = 0 if cache is None else cache.lengths[0]
            return table[start : start + seq]
        return table[cache.positions(seq, table.device)]

    def _mask(self, seq: int, cache: KVCache | None) -> Tensor | None:
        """What is added to attention scores, or ``None`` where plain causality (or nothing) says it all."""
        alibi = self.config.position == "alibi"
        simple = cache is None or (cache.uniform and (seq == 1 or cache.lengths[0] == 0))
        if simple and not alibi:
            return None
        device = self.logit_bias.device
        queries = torch.arange(seq, device=device)[None] if cache is None else cache.positions(seq, device)  # (B, T)
        keys = torch.arange(seq if cache is None else max(cache.lengths) + seq, device=device)
        distance = queries[:, :, None] - keys  # (B, T, L)
        mask = torch.zeros(distance.shape, device=device).masked_fill(distance < 0, float("-inf"))[:, None]
        if alibi:
            assert self.position_table is not None
            mask = mask - self.position_table[:, None, None] * distance[:, None]
        return mask

    def _start_weights(self) -> None:
        """GPT-2's initialisation: 0.02, and less for what is added to the residual stream 2 x n_layers times."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                scale = (2 * self.config.n_layers) ** -0.5 if name.endswith((".out", ".down")) else 1.0
                nn.init.normal_(module.weight, std=0.02 * scale)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)


def _keep_little(block: nn.Module, hidden: Tensor, places: Places) -> Tensor:
    """What ``block`` makes of ``hidden``; the backward pass computes the rest again (arXiv:1604.06174)."""
    from torch.utils.checkpoint import checkpoint

    made: Tensor = checkpoint(block, hidden, places, use_reentrant=False, context_fn=drawn_again)
    return made


def _position_table(config: ModelConfig) -> Tensor | None:
    if config.position == "rotary":
        return rotary_table(config.max_seq_len, config.rotary_dim, config.rotary_base)
    if config.position == "sinusoidal":
        return sinusoidal_table(config.max_seq_len, config.d_model)
    if config.position == "alibi":
        return alibi_slopes(config.n_heads)
    return None
