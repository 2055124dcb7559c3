"""Short runs of tokens (n-grams), looked up in a table: what stands just before a token, without any product."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.model.config import ModelConfig

NO_TOKEN = -1
"""Stands where a text has not begun yet."""
MULTIPLIER, PRIME = 1_103_515_245, 2**31 - 1


class NGrams(nn.EmbeddingBag):
    """A vector for each token together with the one before it, plus one for it with the two before it, and so on.

    There are far too many runs for a row each, so they share ``ngram_rows`` rows by their hashes, as in the Byte Latent
    Transformer (arXiv:2412.09871). Rows start at zero: a run that training never met adds nothing.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(
            config.ngram_rows, config.d_model, mode="sum", _weight=torch.zeros(config.ngram_rows, config.d_model)
        )
        self.before = config.ngram_longest - 1

    def forward(self, tokens: Tensor) -> Tensor:  # type: ignore[override]
        """*Shape:* (batch, before + seq), where ``NO_TOKEN`` fills up a text's beginning -> (batch, seq, d_model)."""
        places = self.places(tokens)
        summed = F.embedding_bag(places.flatten(0, 1), self.weight, mode="sum")
        return summed.unflatten(0, places.shape[:2])

    def places(self, tokens: Tensor) -> Tensor:
        """The rows of each token's runs, by the remainder of a polynomial. *Shape:* -> (batch, seq, before)."""
        end, runs = tokens.shape[1], []
        hashed = torch.zeros_like(tokens[:, self.before :])
        for back in range(self.before + 1):
            hashed = (hashed * MULTIPLIER + tokens[:, self.before - back : end - back] + 1) % PRIME
            runs.append(hashed % self.num_embeddings)
        return torch.stack(runs[1:], dim=-1)
