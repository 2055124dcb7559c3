"""A person's own attention and feed-forward train, cache, save and load like the program's."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from microformer import checkpoint
from microformer.errors import UserError
from microformer.model import parts
from microformer.model.attention import Attention, plain_weights
from microformer.model.cache import KVCache
from microformer.model.config import ModelConfig
from microformer.model.places import Places
from microformer.training.config import RunConfig
from microformer.training.loop import train


class TalkingHeads(Attention):
    """Heads exchange their weights (Shazeer et al. 2020, arXiv:2003.02436)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.mix = nn.Parameter(torch.eye(config.n_heads))

    def forward(self, hidden: Tensor, places: Places, cache: KVCache | None = None) -> Tensor:
        query, key, value = self.heads(hidden, places, cache)
        weights = torch.einsum("bhtk,hg->bgtk", plain_weights(query, key, places), self.mix)
        return self.out((weights @ value).transpose(1, 2).flatten(2))


class Maxout(nn.Module):
    """The larger of two views of each token (arXiv:1302.4389), made without anything of the program's."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.d_model, 2 * config.ff_dim)
        self.down = nn.Linear(config.ff_dim, config.d_model)

    def forward(self, hidden: Tensor) -> Tensor:
        first, second = self.up(hidden).chunk(2, dim=-1)
        return self.down(torch.maximum(first, second))


parts.register("attention", "talking_heads", TalkingHeads)
parts.register("feed_forward", "larger_of_two", Maxout)


def test_parts_of_ones_own_train_cache_save_and_load(
    tmp_path: Path, dataset: Path, make_run_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = make_run_config()
    model = dataclasses.replace(plain.model, attention="talking_heads", feed_forward="larger_of_two")
    train(dataclasses.replace(plain, model=model), dataset, tmp_path / "run", report=lambda line: None)
    loaded = checkpoint.load(tmp_path / "run")
    block = loaded.model.blocks[0]
    assert isinstance(block.attention, TalkingHeads) and isinstance(block.feed_forward, Maxout)
    assert not torch.equal(block.attention.mix, torch.eye(2))
    tokens = torch.tensor([loaded.tokenizer.encode("the red dog")])
    cache = loaded.model.new_cache()
    with torch.inference_mode():
        steps = [loaded.model(one, cache=cache) for one in tokens.split(1, dim=1)]
        torch.testing.assert_close(torch.cat(steps, dim=1), loaded.model(tokens), atol=1e-5, rtol=1e-5)

    monkeypatch.setitem(parts._parts, "attention", {})
    with pytest.raises(UserError, match="attention is 'talking_heads', but known are standard;"):
        checkpoint.load(tmp_path / "run")


def test_what_cannot_be_registered_is_refused_in_words() -> None:
    with pytest.raises(UserError, match="the program's own part"):
        parts.register("feed_forward", "standard", Maxout)
    with pytest.raises(UserError, match="no part norm"):
        parts.register("norm", "mine", Maxout)
