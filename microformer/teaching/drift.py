"""How far a session has moved what the model says: KL(base || session) at places of the anchors, and its slope.

Written out by hand, because this is most of what a step of a lesson computes, and most of that is a softmax over the
vocabulary: with the slope known (it is the difference of two distributions), nothing of its size has to be kept.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from microformer.adapters.session import SessionMemory
from microformer.model.transformer import Transformer
from microformer.teaching.ground import Base, Lesson, head_input

TINY = 1e-9


def drift(model: Transformer, memory: SessionMemory, lesson: Lesson, base: Base) -> Tensor:
    """Mean KL(base || session) in nats over the places of an anchor lesson.

    The tokens that ``base`` does not list count as one: what they gain or lose together is seen, and what they take
    from each other is not.
    """
    bias = memory.open_logits(model.logit_bias)
    kl: Tensor = _Divergence.apply(head_input(model, memory, lesson), model.head, bias, base.likely, base.chances)
    return kl


class _Divergence(torch.autograd.Function):
    """Mean KL of listed ``chances`` to the softmax of ``hidden @ head.T + bias``; slopes for ``hidden`` only.

    *Shapes:* hidden (places, d_model), head (vocab, d_model), likely and chances (places, listed) -> ().
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, bias: Tensor, likely: Tensor, chances: Tensor) -> Tensor:
        said = F.linear(hidden, head, bias).softmax(-1)  # (places, V)
        listed = said.gather(1, likely)  # (places, listed)
        rest = (1 - chances.sum(1)).clamp(min=0)
        said_rest = (1 - listed.sum(1)).clamp(min=TINY)
        kl = (chances * ((chances + TINY) / (listed + TINY)).log()).sum(1)
        kl = kl + rest * ((rest + TINY) / said_rest).log()
        if hidden.requires_grad:
            slope = said * (1 - rest / said_rest)[:, None]  # of the logits
            slope.scatter_(1, likely, listed - chances)
            ctx.save_for_backward((slope @ head) / len(hidden))
        return kl.mean()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return outer[0] * slope, None, None, None, None
