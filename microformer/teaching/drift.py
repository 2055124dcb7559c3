"""How far a session has moved what the model says: KL(base || session) at places of the anchors, and its gradient.

Written out by hand, because this is most of what a step of a lesson computes: with the gradient known (it is the
difference of two distributions), nothing of the size of the vocabulary has to be kept.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from microformer.adapters.session import SessionMemory
from microformer.model.transformer import Transformer
from microformer.teaching.frozen_base import ExampleBatch, head_input


def drift(
    model: Transformer, memory: SessionMemory, anchors: ExampleBatch, base: Tensor, among: Tensor | None = None
) -> Tensor:
    """Mean KL(base || session) in nats over some places of the anchors, a scalar with a gradient for the memory.

    ``base`` (places, d_model) is what the head of the base model read there. With ``among`` (tokens,), only these
    tokens are looked at, as if there were no others.
    """
    head, closed, opened = model.head, model.logit_bias, memory.open_logits(model.logit_bias)
    if among is not None:
        head, closed, opened = head[among], closed[among], opened[among]
    kl: Tensor = _Divergence.apply(head_input(model, memory, anchors), base, head, closed, opened)
    return kl


class _Divergence(torch.autograd.Function):
    """Mean KL of the softmax of ``base @ head.T + closed`` to that of ``hidden @ head.T + opened``, with a gradient for
    ``hidden`` only.

    *Shapes:* hidden and base (places, d_model), head (tokens, d_model), closed and opened (tokens,) -> ().
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, base: Tensor, head: Tensor, closed: Tensor, opened: Tensor) -> Tensor:
        before = F.linear(base, head, closed).log_softmax(-1)  # (places, tokens)
        after = F.linear(hidden, head, opened).log_softmax(-1)
        probabilities = before.exp()
        kl = (probabilities * before.sub_(after)).sum(1).mean()
        if hidden.requires_grad:
            ctx.save_for_backward((after.exp_().sub_(probabilities) @ head) / len(hidden))
        return kl

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return grad[0] * gradient, None, None, None, None
