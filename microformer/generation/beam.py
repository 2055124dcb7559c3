"""Beam search: the most probable continuation that can be found while looking at a few at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from microformer.adapters.session import SessionMemory
from microformer.generation.prompt import window_start
from microformer.model.cache import KVCache
from microformer.model.places import Encoded
from microformer.model.transformer import Transformer


@dataclass(frozen=True)
class Beam:
    """A continuation: the tokens behind the prompt, their log-probability in nats (that of the end-of-text token
    included when ``ended``), and whether it has ended. The end-of-text token is not among ``ids``."""

    ids: tuple[int, ...]
    log_probability: float
    ended: bool = False

    def score(self, length_penalty: float) -> float:
        """Log-probability over length to the power of ``length_penalty`` (Wu et al. 2016, arXiv:1609.08144, in the
        form most libraries use): 0 prefers short texts, 1 compares them a token."""
        return self.log_probability / max(1, len(self.ids) + self.ended) ** length_penalty


@torch.inference_mode()
def beam_search(
    model: Transformer,
    prompt_ids: Sequence[int],
    *,
    beams: int,
    max_tokens: int,
    end_id: int,
    length_penalty: float = 1.0,
    session: SessionMemory | None = None,
    source: Encoded | None = None,
) -> list[Beam]:
    """The ``beams`` best continuations that were found, best first; of an encoder_decoder, answers to a ``source`` of
    one row, whose ``prompt_ids`` are the end-of-text token.

    Every step keeps the ``beams`` most probable unfinished texts. It ends when none of them, however long it grew,
    could overtake the finished ones. ``length_penalty`` is at least 0.
    """
    reader = _Reader(model, list(prompt_ids), session, source)
    live, done = [Beam((), 0.0)], list[Beam]()
    for _ in range(max_tokens):
        ahead = reader.log_probabilities(live)  # (live, vocab)
        total = torch.tensor([beam.log_probability for beam in live], dtype=torch.float64)[:, None] + ahead
        best = total.flatten().topk(min(2 * beams, total.numel()))  # at most half of them can be ends of texts
        grown, parents = list[Beam](), list[int]()
        for log_probability, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            parent, token = divmod(place, total.shape[1])
            if token == end_id:
                done.append(Beam(live[parent].ids, log_probability, ended=True))
            elif len(grown) < beams:
                grown.append(Beam((*live[parent].ids, token), log_probability))
                parents.append(parent)
        reader.follow(parents)
        live = grown
        done = sorted(done, key=lambda beam: -beam.score(length_penalty))[:beams]
        within_reach = max((beam.log_probability / max_tokens**length_penalty for beam in live), default=-torch.inf)
        if len(done) == beams and done[-1].score(length_penalty) >= within_reach:
            return done
    return sorted([*done, *live], key=lambda beam: -beam.score(length_penalty))[:beams]


class _Reader:
    """The model and its cache, with a row for each unfinished text; all of them are equally long."""

    def __init__(
        self, model: Transformer, prompt_ids: list[int], session: SessionMemory | None, source: Encoded | None
    ) -> None:
        self.model, self.prompt_ids, self.session, self.source = model, prompt_ids, session, source
        self.start = 0
        self.cache: KVCache | None = None

    def log_probabilities(self, live: Sequence[Beam]) -> Tensor:
        """Of the token that follows each text. *Shape:* -> (live, vocab), in double precision."""
        length, context = len(self.prompt_ids) + len(live[0].ids), self.model.config.max_seq_len
        start = window_start(length, self.start, context)
        if self.cache is None or (start != self.start and not self.model.config.rolls):
            self.cache, self.start = self.model.new_cache(len(live), rolling=True), start
            self.cache.source = self.source and self.source.rows(torch.zeros(len(live), dtype=torch.int64))
        unread = self.start + self.cache.lengths[0]
        rows = [[*self.prompt_ids, *beam.ids][unread:] for beam in live]
        tokens = torch.tensor(rows, device=self.model.logit_bias.device)
        hidden = self.model.hidden(tokens, session=self.session, cache=self.cache)[:, -1]
        return self.model.logits(hidden, self.session).double().log_softmax(-1).cpu()

    def follow(self, parents: Sequence[int]) -> None:
        """Row ``i`` goes on from what row ``parents[i]`` has read."""
        assert self.cache is not None
        if parents:
            self.cache = self.cache.rows(parents)
