"""A stack of blocks: positions, blocks one after the other, and a last norm. Vectors in, vectors out."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.errors import UserError
from microformer.model import fused
from microformer.model.block import Block
from microformer.model.cache import KVCache
from microformer.model.config import ModelConfig
from microformer.model.dropout import drawn_again, dropout
from microformer.model.memory import Memory
from microformer.model.ngrams import NO_TOKEN, NGrams
from microformer.model.norms import make_norm
from microformer.model.places import (
    LONGEST_PLAIN,
    Encoded,
    Places,
    alibi_row,
    attention_mask,
    heads_in_batch,
    padding_mask,
    score_mask,
    source_places,
)
from microformer.model.positions import alibi_slopes, rotary_table, sinusoidal_table
from microformer.model.rolling import RollingCache


class Stack(nn.Module):
    """What encoders and decoders share. ``config.causal`` says which of the two it is.

    ``reads`` is what its inputs are: tokens, vectors, or ``None`` where another stack's table has embedded them.
    ``recompute`` makes training keep only what goes in and out of each block: less memory, a third more time.
    """

    def __init__(self, config: ModelConfig, reads: str | None) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        self.tokens = nn.Embedding(config.vocab_size, config.d_model) if reads == "tokens" else None
        self.ngrams = NGrams(config) if self.tokens is not None and config.ngram_rows else None
        self.vectors = nn.Linear(config.input_dim or 1, config.d_model) if reads == "vectors" else None
        self.positions = nn.Embedding(config.max_seq_len, config.d_model) if config.position == "learned" else None
        self.embedding_norm = make_norm(config) if config.embedding_norm else None
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.norm = make_norm(config) if config.norm_position == "pre" else nn.Identity()
        with torch.device("cpu"):  # computed even where a model is built without numbers: arithmetic would import a lot
            self.register_buffer("position_table", _position_table(config), persistent=False)
        self.position_table: Tensor | None

    def embed(self, inputs: Tensor, cache: KVCache | None = None) -> Tensor:
        """Vectors of what is read, with what position adds to them, normalised and dropped from as configured.

        *Shape:* tokens (batch, seq) or vectors (batch, seq, input_dim), or (batch, seq, d_model) where it reads nothing
        of its own -> (batch, seq, d_model).
        """
        if self.tokens is not None:
            hidden = self.read(inputs, cache)
        else:
            hidden = inputs if self.vectors is None else self.vectors(inputs).float()
        if self.positions is not None or self.config.position == "sinusoidal":
            table = self.position_table if self.positions is None else self.positions.weight
            assert table is not None
            hidden = hidden + self._rows(table, hidden.shape[1], cache)
        if self.embedding_norm is not None:
            hidden = self.embedding_norm(hidden)
        share = self.config.input_dropout
        return dropout(hidden, share) if share and self.training else hidden

    def read(self, tokens: Tensor, cache: KVCache | None = None) -> Tensor:
        """Vectors of tokens, and of those just before them. *Shape:* (batch, seq) -> (batch, seq, d_model) of fp32."""
        assert self.tokens is not None
        hidden: Tensor = self.tokens(tokens).float()  # the residual stream is always fp32
        if self.ngrams is None:
            return hidden
        if cache is None:
            runs = F.pad(tokens, (self.ngrams.before, 0), value=NO_TOKEN)
        else:
            runs = cache.follow(tokens, self.ngrams.before)
        return hidden + self.ngrams(runs)

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
                hidden = _checkpointed(self.blocks[index], hidden, places)
            else:
                hidden = self.blocks[index](hidden, places, cache, memory)
        return hidden

    def places(
        self,
        seq: int,
        cache: KVCache | None = None,
        *,
        rows: int | None = None,
        lengths: Tensor | None = None,
        source: Encoded | None = None,
    ) -> Places:
        """Where ``seq`` tokens of each of ``rows`` sequences stand, after those that ``cache`` holds.

        ``lengths`` (rows,) tells what of them is not padding, and ``source`` what cross-attention looks at.
        """
        start = 0 if cache is None else max(cache.lengths)
        if start + seq > self.config.max_seq_len and not (isinstance(cache, RollingCache) and seq == 1):
            raise UserError(
                f"The text is {start + seq} tokens long, but this model's context is {self.config.max_seq_len}; "
                "shorten the text."
            )
        if isinstance(cache, RollingCache):
            return self._rolling(*cache.begin(seq))
        turns = None
        if self.config.position == "rotary":
            assert self.position_table is not None
            turns = self._rows(self.position_table, seq, cache)
        lengths = None if self.config.causal else lengths  # no token sees padding that is behind it
        learning = None if cache is not None else self._learning()
        looked_at = None if source is None else source_places(self.config, source, learning)
        if rows and 1 < seq <= LONGEST_PLAIN and learning is not None:
            written_out, scores = self._training_mask(seq, rows, lengths, learning.dtype)
            halves = self.config.causal and seq >= fused.WORTH_HALVING
            return Places(turns, written_out, False, scores, halves, source=source, across=looked_at)
        mask = self._mask(seq, cache, lengths)
        causal = self.config.causal and mask is None and seq > 1
        return Places(turns, mask, causal, source=source, across=looked_at)

    def _training_mask(self, seq: int, rows: int, lengths: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """``mask`` and ``scores`` of ``Places`` for training on a CPU, which take the causal mask written out."""
        padded = None if lengths is None else self._mask(seq, None, lengths)
        if padded is None:
            scores = score_mask(self.config, rows, seq, dtype)
        else:
            scores = heads_in_batch(padded.to(dtype), rows, self.config.n_heads)
        return scores.unflatten(0, (rows if len(scores) > 1 else 1, -1)), scores

    def _learning(self) -> Tensor | None:
        """A weight that learns in the first block where ``fused`` pays, else ``None``."""
        if not torch.is_grad_enabled():
            return None
        return next((one for one in self.blocks[0].parameters() if fused.pays(one)), None)

    def _rolling(self, queries: Tensor, keys: Tensor) -> Places:
        """For tokens and keys at these places: (batch, seq) and (batch, keys)."""
        slopes = self.position_table if self.config.position == "alibi" else None
        mask = attention_mask(self.config, queries, keys, slopes=slopes)
        if self.config.position != "rotary":
            return Places(None, mask, causal=False)
        assert self.position_table is not None
        turns, key_turns = (self.position_table[at.clamp(max=len(self.position_table) - 1)] for at in (queries, keys))
        return Places(turns, mask, causal=False, key_turns=key_turns)

    def _rows(self, table: Tensor, seq: int, cache: KVCache | None) -> Tensor:
        """Rows of a position table for the next tokens: (seq, …), or (batch, seq, …) when rows stand differently."""
        if cache is None or cache.uniform:
            start = 0 if cache is None else cache.lengths[0]
            return table[start : start + seq]
        return table[cache.positions(seq, table.device)]

    def _mask(self, seq: int, cache: KVCache | None, lengths: Tensor | None) -> Tensor | None:
        """What is added to attention scores, or ``None`` where plain causality (or nothing) says it all."""
        simple = cache is None or (cache.uniform and (seq == 1 or cache.lengths[0] == 0))
        longest = seq if cache is None else max(cache.lengths) + seq
        whole = (self.config.window or longest) >= longest
        if self.config.position != "alibi" and whole:
            if lengths is not None:
                return padding_mask(lengths, seq)
            if simple:
                return None
        device = next(self.blocks[0].parameters()).device
        if simple and whole and seq == 1 and cache is not None:
            return alibi_row(self.config.n_heads, self.config.max_seq_len, device)[..., -longest:]
        queries = torch.arange(seq, device=device)[None] if cache is None else cache.positions(seq, device)  # (B, T)
        keys = torch.arange(longest, device=device)[None]
        slopes = self.position_table if self.config.position == "alibi" else None
        return attention_mask(self.config, queries, keys, slopes=slopes, lengths=lengths)


def _checkpointed(block: nn.Module, hidden: Tensor, places: Places) -> Tensor:
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
