"""Answers of an encoder_decoder to a batch of sources, each with a length of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from microformer.adapters.session import SessionMemory
from microformer.generation.batch import Row
from microformer.generation.sampling import Sampling, choose_each
from microformer.generation.stops import Ended
from microformer.model.places import Encoded
from microformer.model.transformer import Transformer


@dataclass(frozen=True)
class Answer:
    """The tokens that were written, without the end-of-text token, and why they end: ``endoftext``, ``length`` (of
    ``max_tokens`` or of the context) or ``stop``."""

    ids: tuple[int, ...]
    stop: str


@torch.inference_mode()
def read_sources(model: Transformer, sources: Sequence[Sequence[int]]) -> Encoded:
    """What the model's encoder makes of sources in tokens, all in one pass. Raises ``UserError`` for one too long."""
    lengths = [len(source) for source in sources]
    padded = [[*source, *[0] * (max(lengths) - len(source))] for source in sources]
    device = model.logit_bias.device
    return model.encode(torch.tensor(padded, device=device), torch.tensor(lengths, device=device))


@torch.inference_mode()
def answer(
    model: Transformer,
    source: Encoded,
    sampling: Sampling,
    *,
    end_id: int,
    ended: Ended | None = None,
    session: SessionMemory | None = None,
) -> list[Answer]:
    """Write ``sampling.num_samples`` answers to each source, in order; sample ``i`` has the seed ``seed + i``.

    Each answer is what its source gives alone. Beam search has a function of its own, ``beam_search``.
    """
    count, first = sampling.num_samples, sampling.seed
    rows = [
        Row([end_id], sampling, None if first is None else first + i, session, ended)
        for _ in range(len(source.hidden))
        for i in range(count)
    ]
    device = source.hidden.device
    most = min(sampling.max_tokens, model.config.max_seq_len)
    cache = model.new_cache(len(rows), most)
    cache.source = source.rows(torch.arange(len(source.hidden), device=device).repeat_interleave(count))
    live = rows
    for _ in range(most):
        last = torch.tensor([row.ids[-1:] for row in live], device=device)  # (B, 1)
        logits = model(last, session=session, cache=cache)[:, -1]  # (B, V)
        uniforms, texts = [row.uniform() for row in live], [row.ids for row in live]
        for row, choice in zip(live, choose_each(logits, [sampling] * len(live), uniforms, texts), strict=True):
            row.take(choice, end_id)
        going_on = [i for i, row in enumerate(live) if row.stop_reason is None]
        if not going_on:
            break
        if len(going_on) < len(live):
            live, cache = [live[i] for i in going_on], cache.rows(going_on)
    return [Answer(tuple(row.ids[row.begun :]), row.stop_reason or "length") for row in rows]
