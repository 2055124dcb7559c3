"""Several texts being written by one model, a token of each in every forward pass.

Single-threaded and without text: the engine feeds it rows from many visitors, ``complete`` from a list of prompts.
"""

import random
from collections.abc import Sequence

import torch

from microformer.adapters.session import MixedMemory, SessionMemory
from microformer.errors import UserError
from microformer.generation.prompt import window_start
from microformer.generation.sampling import Choice, Sampling, choose_each
from microformer.generation.stops import Ended
from microformer.generation.threads import threads_for, weight_count
from microformer.model.cache import KVCache
from microformer.model.transformer import Transformer

NO_TEXTS = "This model does not continue a text; it predicts something about a text, or answers one."


class Row:
    """One text being written: its tokens so far, and all that decides the next one.

    Its random numbers are its own, so who else is in the batch does not change the text. ``ended`` is asked after
    every token whether a stop text has been written.
    """

    def __init__(
        self,
        ids: list[int],
        sampling: Sampling,
        seed: int | None,
        session: SessionMemory | None,
        ended: Ended | None = None,
    ) -> None:
        self.ids, self.begun, self.ended = list(ids), len(ids), ended
        self.sampling = sampling
        self.session = session
        self.uniform = random.Random(seed).random
        self.written = 0
        self.start = 0  # where the window begins
        self.stop_reason: str | None = None

    def take(self, choice: Choice, end_id: int) -> None:
        """Go on with a chosen token, or stop."""
        self.written += 1
        if choice.id == end_id:
            self.stop_reason = "endoftext"
        else:
            self.ids.append(choice.id)
            if self.ended is not None and self.ended(self.ids[self.begun :]):
                self.stop_reason = "stop"
            elif self.written == self.sampling.max_tokens:
                self.stop_reason = "length"


class Batch:
    """Rows that are decoded together. Rows join and leave between steps.

    The cache holds, of each row, the tokens of its window but the last; a step reads that one and writes the next.
    Raises ``UserError`` for a model that does not continue texts.
    """

    def __init__(self, model: Transformer, end_id: int) -> None:
        if not model.config.continues_text:
            raise UserError(NO_TEXTS)
        self.model = model
        self.end_id = end_id
        self.context = model.config.max_seq_len
        self.weights = weight_count(model)
        self.rows: list[Row] = []
        self._device = model.logit_bias.device
        self._cache: KVCache | None = None
        self._memory: MixedMemory | None = None

    @torch.inference_mode()
    def join(self, rows: Sequence[Row]) -> None:
        """Read the rows' prompts and let them in. When this raises, the batch is as it was before."""
        if rows:
            cache = self._read(rows)
            self._arrange([*self.rows, *rows], [(self._cache, i) for i in range(len(self.rows))], cache)

    @torch.inference_mode()
    def leave(self, rows: Sequence[Row]) -> None:
        """Let rows go."""
        if rows:
            kept = [i for i, row in enumerate(self.rows) if row not in rows]
            self._arrange([self.rows[i] for i in kept], [(self._cache, i) for i in kept], None)

    @torch.inference_mode()
    def step(self) -> list[Choice]:
        """Write one token in every row; the choices are in the order of ``rows``, those that ended included."""
        assert self._cache is not None
        self._slide()
        last = torch.tensor([row.ids[-1:] for row in self.rows], device=self._device)  # (B, 1)
        with threads_for(self.weights, len(self.rows)):
            logits = self.model(last, session=self._memory, cache=self._cache)[:, -1]  # (B, V)
            uniforms, texts = [row.uniform() for row in self.rows], [row.ids for row in self.rows]
            choices = choose_each(logits, [row.sampling for row in self.rows], uniforms, texts)
        for row, choice in zip(self.rows, choices, strict=True):
            row.take(choice, self.end_id)
        return choices

    def _slide(self) -> None:
        """Rows that have filled the context read the last part of it anew, unless their cache rolls on."""
        assert self._cache is not None
        if self.model.config.rolls:
            return
        full = [i for i, length in enumerate(self._cache.lengths) if length == self.context]
        if full:
            again = self._read([self.rows[i] for i in full])
            for number, i in enumerate(full):
                self._cache.copy_row(i, again, number)

    def _read(self, rows: Sequence[Row]) -> KVCache:
        """A cache of each row's window but its last token, read in one pass padded on the right.

        Padding is harmless there: no token sees what follows it, and its keys lie past the row's length.
        """
        for row in rows:
            row.start = window_start(len(row.ids), row.start, self.context)
        unread = [row.ids[row.start : -1] for row in rows]
        longest = max(len(ids) for ids in unread)
        lengths = torch.tensor([len(ids) for ids in unread], device=self._device)
        cache = self.model.new_cache(len(rows), max(1, longest), rolling=True)
        if longest:
            tokens = torch.tensor([ids + [self.end_id] * (longest - len(ids)) for ids in unread], device=self._device)
            with threads_for(self.weights, tokens.numel()):
                self.model.hidden(tokens, session=_mixed(rows), cache=cache, lengths=lengths)
        return cache

    def _arrange(self, rows: list[Row], old: list[tuple[KVCache | None, int]], joining: KVCache | None) -> None:
        """Put the kept rows of the old cache and all rows of a new one into one cache just as large as they need."""
        sources = [*old, *((joining, i) for i in range(joining.batch_size if joining else 0))]
        if not rows:
            self.rows, self._cache, self._memory = [], None, None
            return
        needed = max(len(row.ids) - row.start + row.sampling.max_tokens - row.written for row in rows)
        cache = self.model.new_cache(len(rows), min(self.context, needed), rolling=True)
        for i, (source, row) in enumerate(sources):
            assert source is not None
            cache.copy_row(i, source, row)
        self.rows, self._cache, self._memory = rows, cache, _mixed(rows)


def _mixed(rows: Sequence[Row]) -> MixedMemory | None:
    """The rows' memories for one pass, or ``None`` when there are none."""
    return MixedMemory([row.session for row in rows]) if any(row.session is not None for row in rows) else None
