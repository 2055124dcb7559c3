"""Keys and values of tokens already read, so that generating a token reads only that token."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from microformer.model.config import ModelConfig
from microformer.model.ngrams import NO_TOKEN
from microformer.model.places import Encoded


class KVCache:
    """Keys and values of each block for a batch of rows, each with a length of its own.

    ``keys[i]`` and ``values[i]``: (batch, kv_heads, capacity, head_dim). ``lengths[row]`` tokens are filled.
    Keys are kept as they are attended to, already rotated. ``source`` is what cross-attention looks at, and ``across``
    its keys and values by block, once they have been made.
    ``tokens`` (batch, capacity) are those that were read, kept only for a model that looks up n-grams.
    """

    def __init__(
        self, config: ModelConfig, batch_size: int, capacity: int, *, dtype: torch.dtype, device: torch.device
    ) -> None:
        shape = (batch_size, config.kv_heads, capacity, config.head_dim)
        self.keys = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(config.n_layers)]
        self.values = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(config.n_layers)]
        kept = (batch_size, capacity if config.ngram_rows else 0)
        self.tokens = torch.zeros(kept, dtype=torch.int64, device=device)
        self.lengths = [0] * batch_size
        self.capacity = capacity
        self.source: Encoded | None = None
        self.across: dict[int, tuple[Tensor, Tensor]] = {}
        self.counts: list[int] | None = None  # how many of the tokens being read are not padding; None: all

    @property
    def batch_size(self) -> int:
        return len(self.lengths)

    @property
    def uniform(self) -> bool:
        """All rows are equally long, so that a slice does for an index."""
        return min(self.lengths) == max(self.lengths)

    def put(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write new keys and values behind each row's own, and return all that may be attended to.

        *Shape:* (batch, kv_heads, new, head_dim) -> (batch, kv_heads, longest + new, head_dim). ``advance`` counts
        them once every block has put its own.
        """
        new = keys.shape[2]
        end = max(self.lengths) + new
        kept_keys, kept_values = self.keys[layer], self.values[layer]
        if self.uniform:
            kept_keys[:, :, end - new : end] = keys
            kept_values[:, :, end - new : end] = values
        else:
            places = self.positions(new, keys.device)[:, None, :, None].expand_as(keys)
            kept_keys.scatter_(2, places, keys.to(kept_keys.dtype))
            kept_values.scatter_(2, places, values.to(kept_values.dtype))
        return kept_keys[:, :, :end], kept_values[:, :, :end]

    def follow(self, tokens: Tensor, before: int) -> Tensor:
        """Keep new tokens, and return them behind the ``before`` tokens that each row read before them.

        *Shape:* (batch, new) -> (batch, before + new), with ``NO_TOKEN`` where a row has read fewer.
        """
        if self.uniform:
            start, new = self.lengths[0], tokens.shape[1]
            self.tokens[:, start : start + new] = tokens
            runs = self.tokens[:, max(0, start - before) : start + new]
            return F.pad(runs, (before + new - runs.shape[1], 0), value=NO_TOKEN)
        places = self.positions(tokens.shape[1], tokens.device)  # (B, new)
        self.tokens.scatter_(1, places, tokens)
        earlier = places[:, :1] - torch.arange(before, 0, -1, device=tokens.device)  # (B, before)
        known = self.tokens.gather(1, earlier.clamp(min=0)).masked_fill(earlier < 0, NO_TOKEN)
        return torch.cat([known, tokens], dim=1)

    def advance(self, new: int) -> None:
        """Count ``new`` tokens in every row, or those of them that are not padding."""
        counts = self.counts or [new] * self.batch_size
        self.lengths = [length + count for length, count in zip(self.lengths, counts, strict=True)]
        self.counts = None

    def positions(self, new: int, device: torch.device | None = None) -> Tensor:
        """Where the next ``new`` tokens of each row stand. *Shape:* (batch, new)."""
        starts = torch.tensor(self.lengths, device=device)
        return starts[:, None] + torch.arange(new, device=device)

    def truncate(self, length: int) -> None:
        """Forget what follows the first ``length`` tokens of every row."""
        self.lengths = [min(kept, length) for kept in self.lengths]

    def rows(self, chosen: Sequence[int]) -> "KVCache":
        """A cache whose row ``i`` holds what row ``chosen[i]`` of this one does."""
        other = copy.copy(self)
        places = torch.tensor(chosen, device=self.keys[0].device)
        other.keys = [keys[places] for keys in self.keys]
        other.values = [values[places] for values in self.values]
        other.source = None if self.source is None else self.source.rows(places)
        other.across = {layer: (key[places], value[places]) for layer, (key, value) in self.across.items()}
        other.tokens = self.tokens[places]
        other.lengths = [self.lengths[row] for row in chosen]
        return other

    def copy_row(self, row: int, other: "KVCache", other_row: int = 0) -> None:
        """Take over a row of another cache of the same model."""
        length = other.lengths[other_row]
        for mine, theirs in zip(self.keys + self.values, other.keys + other.values, strict=True):
            mine[row, :, :length] = theirs[other_row, :, :length]
        self.tokens[row, :length] = other.tokens[other_row, :length]
        self.lengths[row] = length
