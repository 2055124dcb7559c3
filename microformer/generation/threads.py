"""How many threads a forward pass is worth: waking another one takes longer than a small product does."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

WORTH_SHARING = 4e8
"""Weights times tokens from which a second thread was measured to help; below, one is up to three times as fast."""


def weight_count(model: nn.Module) -> int:
    """How many numbers a pass over the model reads, packed ones included."""
    return sum(tensor.numel() for tensor in [*model.parameters(), *model.buffers()])


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside, PyTorch computes with ``count`` threads."""
    usual = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def threads_for(weights: int, tokens: int) -> contextlib.AbstractContextManager[None]:
    """Let one thread alone read ``tokens`` tokens with a model of ``weights`` weights, if that is the faster way."""
    return contextlib.nullcontext() if weights * tokens >= WORTH_SHARING else threads(1)
