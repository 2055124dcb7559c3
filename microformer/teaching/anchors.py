"""Text the base model wrote itself: what it should go on saying as before while a session learns.

No corpus is needed for it, so a model that was pulled from somewhere can be taught as well. Keeping the distribution
on such text close (KL to the base) is what keeps forgetting small (arXiv:2509.04259).
"""

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from microformer.model.transformer import Transformer

ROWS, LONGEST = 192, 256
"""How many texts are written, as long as the context but not longer than this. A third as many were learnt by heart: a
hundred facts then made the loss on other text rise about twice as much. What a model does far into a text (answering a
question about it, say) is held in place only if the anchors go that far."""


@dataclass(frozen=True)
class Anchors:
    """``tokens`` (ROWS, length), each row beginning with ``<|endoftext|>``, and what the base model's head read at each
    place: ``said`` (ROWS, length, d_model)."""

    tokens: Tensor
    said: Tensor


def sample_anchors(model: Transformer, end_id: int, *, seed: int = 0) -> Generator[None, None, Anchors]:
    """Let the model write ``ROWS`` texts at temperature 1, yielding after every few tokens.

    A text that ends is followed by another one in the same row, as in training.
    """
    length = min(LONGEST, model.config.max_seq_len)
    generator = torch.Generator().manual_seed(seed)
    cache = model.new_cache(ROWS, length)
    tokens = torch.full((ROWS, length), end_id)
    device = model.logit_bias.device
    said = torch.zeros(ROWS, length, model.config.d_model, device=device)
    for place in range(length):
        with torch.inference_mode():
            said[:, place] = last = model.hidden(tokens[:, place : place + 1].to(device), cache=cache)[:, 0]  # (R, C)
            if place + 1 < length:
                every = model.logits(last).float().softmax(-1).cpu()  # (R, V)
                drawn = torch.rand(ROWS, 1, generator=generator)  # in place of multinomial, which is ten times slower
                tokens[:, place + 1] = torch.searchsorted(every.cumsum(-1), drawn)[:, 0].clamp(max=every.shape[1] - 1)
        if place % 8 == 7:
            yield
    return Anchors(tokens, said)
