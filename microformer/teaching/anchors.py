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
    """``tokens`` (ROWS, length), each row beginning with ``<|endoftext|>``, and what the base model made of each place.

    ``lower`` is what the block put out behind which sessions begin, ``head_input`` what the head read: (ROWS, length,
    d_model) both.
    """

    tokens: Tensor
    lower: Tensor
    head_input: Tensor


def sample_anchors(model: Transformer, end_id: int, *, first: int, seed: int = 0) -> Generator[None, None, Anchors]:
    """Let the model write ``ROWS`` texts at temperature 1, yielding after every few tokens; ``lower`` is what block
    ``first`` puts out, noted on the way because to read all of it again takes as long as the writing did.

    A text that ends is followed by another one in the same row, as in training.
    """
    length = min(LONGEST, model.config.max_seq_len)
    generator = torch.Generator().manual_seed(seed)
    cache = model.new_cache(ROWS, length)
    tokens = torch.full((ROWS, length), end_id)
    device = model.logit_bias.device
    lower, head_input = torch.zeros(2, ROWS, length, model.config.d_model, device=device)
    for place in range(length):
        with torch.inference_mode():
            newest, places = tokens[:, place : place + 1].to(device), model.places(1, cache)
            below = model.run_blocks(model.embed(newest, cache), places, last=first + 1, cache=cache)  # (R, 1, C)
            last = model.norm(model.run_blocks(below, places, first=first + 1, cache=cache))[:, 0]  # (R, C)
            cache.advance(1)
            lower[:, place], head_input[:, place] = below[:, 0], last
            if place + 1 < length:
                probabilities = model.logits(last).float().softmax(-1).cpu()  # (R, V)
                drawn = torch.rand(ROWS, 1, generator=generator)  # in place of multinomial, which is ten times slower
                chosen = torch.searchsorted(probabilities.cumsum(-1), drawn)[:, 0]
                tokens[:, place + 1] = chosen.clamp(max=probabilities.shape[1] - 1)
        if place % 8 == 7:
            yield
    return Anchors(tokens, lower, head_input)
