"""A cache that never fills: of an endless text it keeps the sliding window and the first tokens."""

from collections.abc import Sequence

import torch
from torch import Tensor

from microformer.model.cache import KVCache
from microformer.model.config import ModelConfig
from microformer.model.ngrams import NO_TOKEN


class RollingCache(KVCache):
    """Keys and values of the first ``sinks`` tokens and of the last ones, in slots that are used again and again.

    Attention sinks as in StreamingLLM (arXiv:2309.17453): past the context, tokens are numbered by their places within
    what is kept, so that nothing is further away than it ever was in training. Keys are kept unturned for that.
    Within the context the numbers are those of the text, and the logits are those without a cache.

    ``spare`` tokens beyond the window are kept, so that as many can be forgotten again.
    """

    def __init__(
        self, config: ModelConfig, batch_size: int, *, spare: int = 0, dtype: torch.dtype, device: torch.device
    ) -> None:
        assert config.window is not None
        self.sinks, self.window, self.context = config.sinks, config.window, config.max_seq_len
        self.spare = spare
        # Slots behind the sinks, and one more takes what is not kept. N-grams may look back further than the window.
        self.turning = max(self.window, config.ngram_longest if config.ngram_rows else 0) + spare
        super().__init__(config, batch_size, self.sinks + self.turning + 1, dtype=dtype, device=device)

    def begin(self, new: int) -> tuple[Tensor, Tensor]:
        """Where the next ``new`` tokens of each row stand, and where the keys do that they meet.

        *Shape:* (batch, new) and (batch, sinks + turning + new); a key that nobody may see stands behind all tokens.
        """
        device = self.keys[0].device
        begun = torch.tensor(self.lengths, device=device)[:, None]
        places = begun + torch.arange(new, device=device)  # (B, T)
        self._slots = self._slots_of(places, begun)
        kept = torch.arange(self.sinks + self.turning, device=device)[None]
        latest = begun - self.sinks - 1  # of the tokens behind the sinks
        kept_places = torch.where(kept < self.sinks, kept, begun - 1 - (latest - (kept - self.sinks)) % self.turning)
        gone = (kept_places >= begun) | (kept_places < kept.clamp(max=self.sinks))
        gone |= (kept >= self.sinks) & (begun - kept_places >= self.window)
        beyond = (begun + new - self.context).clamp(min=0)  # how far the text is past the context
        kept_places = torch.where(kept < self.sinks, kept_places, kept_places - beyond)
        keys = torch.cat([kept_places.masked_fill(gone, self.context), places - beyond], dim=1)
        return places - beyond, keys

    def put(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """See ``KVCache``; ``begin`` comes first. *Shape:* -> (batch, kv_heads, sinks + turning + new, head_dim)."""
        seen = []
        slots = self._slots[:, None, :, None].expand_as(keys)
        for kept, fresh in ((self.keys[layer], keys), (self.values[layer], values)):
            seen.append(torch.cat([kept[:, :, :-1], fresh.to(kept.dtype)], dim=2))
            kept.scatter_(2, slots, fresh.to(kept.dtype))
        return seen[0], seen[1]

    def _slots_of(self, places: Tensor, begun: Tensor) -> Tensor:
        """Where new tokens are kept: (batch, new). Of more than there are slots only the last ones are."""
        new = places.shape[1]
        counts = torch.tensor(self.counts or [new] * self.batch_size, device=places.device)[:, None]
        end = begun + counts
        slots = self._slot(places)
        dropped = (places >= end) | ((places >= self.sinks) & (places < end - self.turning))
        return slots.masked_fill(dropped, self.sinks + self.turning)

    def _slot(self, places: Tensor) -> Tensor:
        return torch.where(places < self.sinks, places, self.sinks + (places - self.sinks) % self.turning)

    def follow(self, tokens: Tensor, before: int) -> Tensor:
        """See ``KVCache``; ``begin`` comes first."""
        begun = torch.tensor(self.lengths, device=tokens.device)[:, None]
        earlier = begun - torch.arange(before, 0, -1, device=tokens.device)  # (B, before)
        known = self.tokens.gather(1, self._slot(earlier.clamp(min=0))).masked_fill(earlier < 0, NO_TOKEN)
        self.tokens.scatter_(1, self._slots, tokens)
        return torch.cat([known, tokens], dim=1)

    def truncate(self, length: int) -> None:
        """See ``KVCache``. Raises ``ValueError`` where more than the ``spare`` tokens would be forgotten."""
        if max(self.lengths) - length > self.spare:
            raise ValueError("A rolling cache cannot go back further than its spare tokens.")
        super().truncate(length)

    def rows(self, chosen: Sequence[int]) -> "RollingCache":
        """See ``KVCache``."""
        other = super().rows(chosen)
        assert isinstance(other, RollingCache)
        return other

    def copy_row(self, row: int, other: KVCache, other_row: int = 0) -> None:
        """See ``KVCache``; the other rolls too, and keeps as much."""
        for mine, theirs in zip(self.keys + self.values, other.keys + other.values, strict=True):
            mine[row] = theirs[other_row]
        self.tokens[row] = other.tokens[other_row]
        self.lengths[row] = other.lengths[other_row]
