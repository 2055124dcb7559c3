"""The model: embeddings and a head around a stack of blocks, and an encoder where there is a source.

It knows nothing of text, training or visitors. A session memory is data that is handed to ``forward``.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.errors import UserError
from microformer.model.block import Block
from microformer.model.cache import KVCache
from microformer.model.config import ModelConfig
from microformer.model.memory import Memory
from microformer.model.places import Encoded
from microformer.model.rolling import RollingCache
from microformer.model.stack import Stack

NEVER_SEEN = -1e4
"""Bias on the logit of a token that never occurs in the training text: finite, and far below any other."""


class Transformer(Stack):
    """A decoder, an encoder or both, built from the parts that its configuration names.

    ``logit_bias`` (vocab,) is 0 for tokens that occur in the training text and ``NEVER_SEEN`` for the others. Without
    it, the softmax pushes the embeddings of all unseen tokens to one point, and taught names that are spelled with them
    could not be told apart.
    """

    def __init__(self, config: ModelConfig) -> None:
        both = config.kind == "encoder_decoder"
        super().__init__(config, "tokens" if both else config.inputs)
        tied = config.tie_weights or config.outputs
        self.unembedding = None if tied else nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.pooled = nn.Linear(config.d_model, config.outputs) if config.outputs else None
        # An encoder of tokens reads them with the decoder's table.
        self.encoder = Stack(config.encoder, "vectors" if config.inputs == "vectors" else None) if both else None
        self.register_buffer("logit_bias", torch.zeros(config.vocab_size))
        self.logit_bias: Tensor
        self._start_weights()

    def forward(
        self,
        tokens: Tensor,
        *,
        session: Memory | None = None,
        cache: KVCache | None = None,
        only: Tensor | None = None,
        lengths: Tensor | None = None,
        source: Encoded | Tensor | None = None,
        source_lengths: Tensor | None = None,
    ) -> Tensor:
        """Logits of the token after each token (decoder) or of each token itself (encoder), or a text's ``outputs``.

        *Shape:* tokens (batch, seq) of int64, or vectors (batch, seq, input_dim) -> (batch, seq, vocab), or
        (batch, seq, len(only)) where only the tokens ``only`` are asked for, as in training; with ``config.outputs``
        (batch, outputs). ``lengths`` (batch,) says how many of each row are not padding, which is on the right; a
        decoder that predicts tokens needs none. An encoder_decoder also needs ``source``: what ``encode`` returned, or
        tokens or vectors with their ``source_lengths``; a cache remembers it.
        With a ``cache``, ``tokens`` follow what each of its rows has read so far, and are added to it. Raises
        ``UserError`` when they do not fit the context.
        """
        if isinstance(source, Tensor):
            source = self.encode(source, source_lengths)
        hidden = self.hidden(tokens, session=session, cache=cache, lengths=lengths, source=source)
        return self.logits(hidden, session, only) if self.pooled is None else self.pool(hidden, lengths)

    def hidden(
        self,
        tokens: Tensor,
        *,
        session: Memory | None = None,
        cache: KVCache | None = None,
        lengths: Tensor | None = None,
        source: Encoded | None = None,
    ) -> Tensor:
        """What the head reads. *Shape:* (batch, seq) -> (batch, seq, d_model)."""
        if cache is not None:
            source = cache.source = source or cache.source
            cache.counts = None if lengths is None else lengths.tolist()
        if self.encoder is not None and source is None:
            raise UserError("An encoder_decoder reads a source and answers it; give it a source.")
        places = self.places(tokens.shape[1], cache, rows=tokens.shape[0], lengths=lengths, source=source)
        hidden = self.run_blocks(self.embed(tokens, cache), places, session=session, cache=cache)
        if cache is not None:
            cache.advance(tokens.shape[1])
        return self.norm(hidden)

    def encode(self, source: Tensor, lengths: Tensor | None = None) -> Encoded:
        """What the encoder makes of sources, padded on the right.

        *Shape:* tokens (batch, source) or vectors (batch, source, input_dim), lengths (batch,).
        """
        if self.encoder is None:
            raise UserError(f"A model of the kind {self.config.kind} takes no source.")
        self.encoder.recompute = self.recompute
        vectors = source if self.config.inputs == "vectors" else self.read(source)
        places = self.encoder.places(source.shape[1], rows=len(source), lengths=lengths)
        hidden = self.encoder.run_blocks(self.encoder.embed(vectors), places)
        return Encoded(self.encoder.norm(hidden), lengths)

    def pool(self, hidden: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The numbers that are predicted for each text. *Shape:* (batch, seq, d_model) -> (batch, outputs)."""
        assert self.pooled is not None
        rows, seq, _ = hidden.shape
        lengths = torch.full((rows,), seq, device=hidden.device) if lengths is None else lengths.clamp(min=1)
        if self.config.pooling == "first":
            whole = hidden[:, 0]
        elif self.config.pooling == "last":
            whole = hidden[torch.arange(rows, device=hidden.device), lengths - 1]
        else:
            counted = torch.arange(seq, device=hidden.device) < lengths[:, None]  # (B, T)
            whole = (hidden * counted[..., None]).sum(1) / lengths[:, None]
        return self.pooled(whole.to(self.pooled.weight.dtype))

    @torch.no_grad()
    def hidden_by_layer(
        self,
        tokens: Tensor,
        *,
        session: Memory | None = None,
        lengths: Tensor | None = None,
        source: Encoded | None = None,
    ) -> list[Tensor]:
        """What the first block reads, and what each block puts out; ``logits(norm(one))`` is what it would predict.

        *Shape:* (batch, seq) -> n_layers + 1 of (batch, seq, d_model).
        """
        places = self.places(tokens.shape[1], lengths=lengths, source=source)
        hidden = [self.embed(tokens)]
        for index in range(self.config.n_layers):
            hidden.append(self.run_blocks(hidden[-1], places, first=index, last=index + 1, session=session))
        return hidden

    @torch.no_grad()
    def attention_maps(
        self,
        tokens: Tensor,
        *,
        session: Memory | None = None,
        lengths: Tensor | None = None,
        source: Encoded | None = None,
        across: bool = False,
    ) -> list[Tensor]:
        """How much each token takes from each, or with ``across`` from each of the source, in every block.

        *Shape:* (batch, seq) -> n_layers of (batch, heads, seq, keys); what a query takes sums to 1.
        """
        if across and source is None:
            raise UserError("Attention across needs a source, which only an encoder_decoder has.")
        places = self.places(tokens.shape[1], lengths=lengths, source=source)
        hidden = self.hidden_by_layer(tokens, session=session, lengths=lengths, source=source)
        blocks = (block for block in self.blocks if isinstance(block, Block))
        return [block.weights(one, places, across=across) for block, one in zip(blocks, hidden, strict=False)]

    @property
    def head(self) -> Tensor:
        """The table that next tokens are read from. *Shape:* (vocab, d_model)."""
        weight: Tensor = self._head_table().weight
        return weight

    def logits(self, hidden: Tensor, session: Memory | None = None, only: Tensor | None = None) -> Tensor:
        """*Shape:* (…, d_model) -> (…, vocab), or (…, len(only)) for the tokens ``only``, without any bias."""
        if only is not None:
            return F.linear(hidden, self.head[only.to(hidden.device)].to(hidden.dtype))
        bias = self.logit_bias if session is None else session.open_logits(self.logit_bias)
        return self._read_out(hidden) + bias

    @torch.no_grad()
    def lift_unseen(self) -> None:
        """Make the embeddings of tokens that the training text never had as long as the others are on average.

        Nothing has trained them, so they keep their random directions and, without this, their small initial length:
        taught names that need them could never be as likely as anything else. What the model says does not change.
        """
        unseen = self.logit_bias < 0
        if not bool(unseen.any()) or bool(unseen.all()):
            return
        for table in (one.weight for one in (self.tokens, self.unembedding) if one is not None):
            lengths = table.norm(dim=1)
            usual = lengths[~unseen].mean()
            short = unseen & (lengths < usual / 2) & (lengths > 0)
            table[short] *= (usual / lengths[short])[:, None]

    def new_cache(
        self, batch_size: int = 1, capacity: int | None = None, *, rolling: bool = False, spare: int = 0
    ) -> KVCache:
        """An empty cache for ``batch_size`` rows of at most ``capacity`` tokens (the context, unless given).

        A ``rolling`` one has no limit where the model can do without (``config.rolls``); see ``RollingCache``.
        Raises ``UserError`` when the model does not write texts.
        """
        if not self.config.writes:
            raise UserError("This model does not write texts; it only predicts something about them.")
        dtype, device = next(self.blocks.parameters()).dtype, self.logit_bias.device
        if rolling and self.config.rolls:
            return RollingCache(self.config, batch_size, spare=spare, dtype=dtype, device=device)
        return KVCache(self.config, batch_size, capacity or self.config.max_seq_len, dtype=dtype, device=device)

    def _head_table(self) -> Any:
        table = self.tokens if self.unembedding is None else self.unembedding
        if table is None or self.pooled is not None:
            raise UserError("This model predicts numbers about whole texts, not tokens.")
        return table

    def _read_out(self, hidden: Tensor) -> Tensor:
        """Products with the head's table; a quantized one has its own way. *Shape:* (…, d_model) -> (…, vocab)."""
        table = self._head_table()
        if isinstance(table, nn.Linear | nn.Embedding):
            return F.linear(hidden, table.weight.to(hidden.dtype))
        read: Tensor = table.read_out(hidden)
        return read

    def _start_weights(self) -> None:
        """GPT-2's initialisation: std 0.02, and less for the 2 x n_layers products that add to the residual stream."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                scale = (2 * self.config.n_layers) ** -0.5 if name.endswith((".out", ".down")) else 1.0
                nn.init.normal_(module.weight, std=0.02 * scale)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
