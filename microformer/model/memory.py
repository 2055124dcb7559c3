"""What a model needs of a memory that is handed to ``forward``: a layer for each block, and the tokens it opens."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

MemoryLayer = Callable[[Tensor], Tensor]
"""Maps the output of a block to what the next block reads; *Shape:* (batch, seq, d_model) both."""


class Memory(Protocol):
    """A session memory as the model sees it: data beside the weights, never part of them."""

    def layer(self, index: int) -> MemoryLayer | None:
        """What follows block ``index``; ``None`` skips it, so that a blank memory is the base model bit for bit."""
        ...

    def open_logits(self, bias: Tensor) -> Tensor:
        """The bias on the logits with the tokens opened that this memory needs.

        *Shape:* (vocab,) -> (vocab,), or (batch, 1, vocab) when rows differ.
        """
        ...
