"""Session memory: a bottleneck adapter for some of the blocks, kept as plain tensors beside the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from microformer.model.adapter import bottleneck
from microformer.model.config import ModelConfig


@dataclass(frozen=True)
class SessionMemory:
    """What one session adds to the model: an adapter after each of the blocks in ``layers``.

    *Shapes:* ``down`` (len(layers), d_model, width), ``up`` (len(layers), width, d_model). ``opened`` are tokens that
    the training text never had and that this session's facts are spelled with.
    """

    layers: tuple[int, ...]
    down: Tensor
    up: Tensor
    opened: tuple[int, ...] = ()

    @classmethod
    def blank(cls, config: ModelConfig, *, layers: Sequence[int], width: int, seed: int = 0) -> "SessionMemory":
        """A memory that changes nothing: ``down`` random, ``up`` zero."""
        down = cls._units(len(layers), config.d_model, width, seed=seed)
        return cls(tuple(layers), down, torch.zeros(len(layers), width, config.d_model))

    @staticmethod
    def _units(layers: int, d_model: int, width: int, *, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(layers, d_model, width, generator=generator) * d_model**-0.5

    @property
    def is_blank(self) -> bool:
        return not self.opened and not bool(self.up.any())

    def layer(self, index: int) -> Callable[[Tensor], Tensor] | None:
        """The adapter behind block ``index``, or ``None`` where this memory holds none."""
        if index not in self.layers:
            return None
        at = self.layers.index(index)
        down, up = self.down[at], self.up[at]
        return lambda hidden: bottleneck(hidden, down.to(hidden.device), up.to(hidden.device))

    def open_logits(self, bias: Tensor) -> Tensor:
        """*Shape:* (vocab,) -> (vocab,)."""
        if not self.opened:
            return bias
        bias = bias.clone()
        bias[list(self.opened)] = 0.0
        return bias

    def widened(self, width: int) -> "SessionMemory":
        """The same memory with blank units beside its own, up to ``width``; they change nothing until trained."""
        present = self.down.shape[2]
        if width <= present:
            return self
        added = SessionMemory._units(len(self.layers), self.down.shape[1], width - present, seed=present)
        down, up = torch.cat([self.down, added], 2), F.pad(self.up, (0, 0, 0, width - present))
        return replace(self, down=down, up=up)

    def scaled(self, strength: float) -> "SessionMemory | None":
        """The memory at a strength between 0 (``None``: the base model itself) and 1 (as it was taught)."""
        if strength == 0 or self.is_blank:
            return None
        return self if strength == 1 else replace(self, up=self.up * strength)


class MixedMemory:
    """The memories of the rows of one batch, each row with its own or none, gathered into one batched product.

    Rows without a memory are left out of the computation, so they stay the base model bit for bit.
    """

    def __init__(self, memories: Sequence[SessionMemory | None]) -> None:
        self.rows = list(memories)
        self.layers = sorted({index for memory in memories if memory is not None for index in memory.layers})
        self._pools = {index: self._pool(index) for index in self.layers}

    def layer(self, index: int) -> Callable[[Tensor], Tensor] | None:
        """*Shape:* (batch, seq, d_model) -> the same; row i goes through its own memory."""
        if index not in self._pools:
            return None
        rows, down, up = self._pools[index]

        def apply(hidden: Tensor) -> Tensor:
            there = down.to(hidden.device), up.to(hidden.device)
            if len(rows) == len(self.rows):
                return bottleneck(hidden, *there)
            changed = hidden.clone()
            changed[rows] = bottleneck(hidden[rows], *there)
            return changed

        return apply

    def open_logits(self, bias: Tensor) -> Tensor:
        """*Shape:* (vocab,) -> (batch, 1, vocab), or as it was when no row opens a token."""
        if not any(memory is not None and memory.opened for memory in self.rows):
            return bias
        return torch.stack([bias if memory is None else memory.open_logits(bias) for memory in self.rows])[:, None]

    def _pool(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Which rows have an adapter behind block ``index``, and their ``down`` and ``up``, one pair a row."""
        rows, downs, ups = [], [], []
        widest = max(memory.down.shape[-1] for memory in self.rows if memory is not None)
        for row, memory in enumerate(self.rows):
            if memory is not None and index in memory.layers:
                at = memory.layers.index(index)
                missing = widest - memory.down.shape[-1]
                rows.append(row)
                downs.append(F.pad(memory.down[at], (0, missing)))
                ups.append(F.pad(memory.up[at], (0, 0, 0, missing)))
        return torch.tensor(rows), torch.stack(downs), torch.stack(ups)


def tensors_of(memory: SessionMemory) -> Mapping[str, Tensor]:
    """The memory as named tensors, to be saved."""
    return {"down": memory.down, "up": memory.up}


def blend(memories: Sequence[tuple[SessionMemory, float]]) -> SessionMemory | None:
    """Several memories as one that adds what each adds, times its weight; ``None`` for none.

    Adapters side by side are one wider adapter: ``gelu(h [D1 D2]) [w1 U1; w2 U2]``.
    """
    if not memories:
        return None
    if len(memories) == 1 and memories[0][1] == 1:
        return memories[0][0]
    layers = sorted({index for memory, _ in memories for index in memory.layers})
    downs, ups = [], []
    for memory, weight in memories:
        absent = memory.down.new_zeros(memory.down.shape[1:])
        at = [memory.layers.index(index) if index in memory.layers else None for index in layers]
        downs.append(torch.stack([absent if place is None else memory.down[place] for place in at]))
        ups.append(torch.stack([absent.T if place is None else memory.up[place] * weight for place in at]))
    opened = sorted({token for memory, _ in memories for token in memory.opened})
    return SessionMemory(tuple(layers), torch.cat(downs, dim=2), torch.cat(ups, dim=1), tuple(opened))
