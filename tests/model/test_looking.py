"""Looking into a model: attention weights and hidden states by layer are those that the forward pass uses."""

from typing import Any

import pytest
import torch
from torch import Tensor

from microformer.model.config import ModelConfig
from microformer.model.transformer import Transformer
from tests.model.test_kinds import LENGTHS, make_model, some_tokens

SHAPES: list[dict[str, Any]] = [
    {"n_kv_heads": 2, "window": 5, "sinks": 1},
    {"position": "alibi", "norm_position": "post"},
    {"kind": "encoder", "position": "learned"},
    {"kind": "encoder_decoder"},
]


@pytest.mark.parametrize("changes", SHAPES)
def test_the_last_hidden_state_says_what_the_model_says(changes: dict[str, Any]) -> None:
    model, tokens = make_model(**changes), some_tokens()
    source = model.encode(some_tokens(seed=2)) if model.encoder else None
    layers = model.hidden_by_layer(tokens, source=source)
    assert len(layers) == model.config.n_layers + 1
    torch.testing.assert_close(model.logits(model.norm(layers[-1])), model(tokens, source=source))


@pytest.mark.parametrize("changes", SHAPES)
def test_every_token_takes_one_in_all_and_nothing_of_what_it_cannot_see(changes: dict[str, Any]) -> None:
    model, tokens = make_model(**changes), some_tokens()
    source = model.encode(some_tokens(seed=2), LENGTHS) if model.encoder else None
    maps = model.attention_maps(tokens, lengths=None if model.config.causal else LENGTHS, source=source)
    for weights in maps:
        assert weights.shape == (3, 4, 12, 12)
        torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4, 12))
        assert bool((weights.triu(1) == 0).all()) == model.config.causal
        if model.config.window:
            seen = weights[:, :, :, 1]  # of 5: token 5 is the last that sees token 1; all see token 0, the sink
            assert bool(seen[..., 1:6].all()) and not seen[..., 6:].any() and bool((weights[..., 0] > 0).all())
    if model.config.kind == "encoder":
        assert not maps[0][1, :, :, 7:].any()


def test_attention_across_leaves_out_the_padding_of_the_source() -> None:
    model, tokens = make_model(kind="encoder_decoder"), some_tokens(length=5)
    maps = model.attention_maps(tokens, source=model.encode(some_tokens(seed=2), LENGTHS), across=True)
    assert maps[1].shape == (3, 4, 5, 12)
    assert not maps[1][1, :, :, 7:].any()
    torch.testing.assert_close(maps[1].sum(-1), torch.ones(3, 4, 5))


def test_weights_times_values_are_what_attention_gives() -> None:
    config = ModelConfig(vocab_size=64, d_model=16, n_layers=1, n_heads=4, n_kv_heads=2, max_seq_len=32, adapter_dim=0)
    torch.manual_seed(0)
    model, tokens = Transformer(config).eval(), some_tokens()
    (weights,) = model.attention_maps(tokens)
    block = model.blocks[0]
    read = block.attention_norm(model.embed(tokens))
    places = model.places(12)
    value: Tensor = block.attention.heads(read, places)[2]
    expected = block.attention.out((weights @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(block.attention(read, places), expected, atol=1e-6, rtol=1e-5)
