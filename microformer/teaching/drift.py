"""How far a session has moved what the model says: KL(base || session) at places of the anchors, and its slope.

Written out by hand, because this is most of what a step of a lesson computes: with the slope known (it is the
difference of two distributions), nothing that has the size of the vocabulary has to be kept.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from microformer.adapters.session import SessionMemory
from microformer.model.transformer import Transformer
from microformer.teaching.ground import Lesson, head_input


def drift(
    model: Transformer, memory: SessionMemory, lesson: Lesson, said: Tensor, among: Tensor | None = None
) -> Tensor:
    """Mean KL(base || session) in nats over the places of an anchor lesson.

    ``said`` (places, d_model) is what the head of the base model read there. With ``among``, only these tokens are
    looked at, as if there were no others.
    """
    head, closed, opened = model.head, model.logit_bias, memory.open_logits(model.logit_bias)
    if among is not None:
        head, closed, opened = head[among], closed[among], opened[among]
    kl: Tensor = _Divergence.apply(head_input(model, memory, lesson), said, head, closed, opened)
    return kl


class _Divergence(torch.autograd.Function):
    """Mean KL of the softmax of ``said @ head.T + closed`` to that of ``hidden @ head.T + opened``; slopes for
    ``hidden`` only.

    *Shapes:* hidden and said (places, d_model), head (tokens, d_model), closed and opened (tokens,) -> ().
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, said: Tensor, head: Tensor, closed: Tensor, opened: Tensor) -> Tensor:
        before = F.linear(said, head, closed).log_softmax(-1)  # (places, tokens)
        after = F.linear(hidden, head, opened).log_softmax(-1)
        chances = before.exp()
        kl = (chances * before.sub_(after)).sum(1).mean()
        if hidden.requires_grad:
            ctx.save_for_backward((after.exp_().sub_(chances) @ head) / len(hidden))
        return kl

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return outer[0] * slope, None, None, None, None
