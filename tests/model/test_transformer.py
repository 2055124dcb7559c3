"""What single options of a model mean. What holds for all models is in test_combinations."""

from typing import Any

import pytest
import torch

from microformer.errors import UserError
from microformer.model.config import ModelConfig
from microformer.model.transformer import NEVER_SEEN, Transformer
from tests.conftest import make_config


def make_model(**changes: Any) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(make_config(**changes)).eval()
    with torch.no_grad():  # adapters start as the identity; here they are to take part
        for name, weight in model.named_parameters():
            if name.endswith("long_term.up"):
                weight.normal_(std=0.1)
    return model


def some_tokens(rows: int = 2, length: int = 20) -> torch.Tensor:
    return torch.randint(0, 64, (rows, length), generator=torch.Generator().manual_seed(1))


def test_shared_key_heads_are_separate_heads_with_tied_weights() -> None:
    few, many = make_model(n_kv_heads=1), make_model()
    few_state = few.state_dict()
    for name, tensor in few_state.items():
        if name.endswith("qkv.weight"):
            query, key, value = tensor.split([16, 4, 4])
            few_state[name] = torch.cat([query, key.repeat(4, 1), value.repeat(4, 1)])
    many.load_state_dict(few_state)
    torch.testing.assert_close(few(some_tokens()), many(some_tokens()), atol=1e-6, rtol=1e-6)


def test_tied_weights_are_one_table() -> None:
    assert make_model().unembedding is None
    assert (
        sum(p.numel() for p in make_model(tie_weights=False).parameters())
        - sum(p.numel() for p in make_model().parameters())
        == 64 * 16
    )


def test_a_new_long_term_adapter_is_the_identity() -> None:
    torch.manual_seed(0)
    with_adapter = Transformer(make_config()).eval()
    without = Transformer(make_config(adapter_dim=0)).eval()
    kept = {name: tensor for name, tensor in with_adapter.state_dict().items() if "long_term" not in name}
    without.load_state_dict(kept)
    assert torch.equal(with_adapter(some_tokens()), without(some_tokens()))


def test_tokens_never_seen_are_not_predicted() -> None:
    model = make_model()
    model.logit_bias[40:] = NEVER_SEEN
    assert int(model(some_tokens()).argmax(-1).max()) < 40


def test_a_text_longer_than_the_context_is_refused_in_words() -> None:
    with pytest.raises(UserError, match=r"33 tokens long.*context is 32"):
        make_model()(some_tokens(length=33))


def test_dropout_acts_only_in_training() -> None:
    model = make_model(dropout=0.5)
    assert torch.equal(model(some_tokens()), model(some_tokens()))
    model.train()
    assert not torch.equal(model(some_tokens()), model(some_tokens()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"d_model": 18}, "d_model must be a multiple of n_heads"),
        ({"n_kv_heads": 3}, "n_heads must be a multiple of n_kv_heads"),
        ({"d_model": 4}, "Rotary positions need heads at least 2 wide"),
        ({"activation": "tanh"}, "one of relu, relu_squared, gelu"),
        ({"dropout": 1.0}, "at most 0.9"),
    ],
)
def test_shapes_that_cannot_be_built_are_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_config(**changes)


def test_the_gated_width_keeps_the_parameters_of_an_ungated_one() -> None:
    assert ModelConfig(d_model=192).ff_dim == 512
    assert ModelConfig(d_model=192, activation="gelu").ff_dim == 768


def test_tokens_that_were_never_seen_become_as_long_as_the_others_and_change_nothing_that_is_said() -> None:
    torch.manual_seed(1)
    model = Transformer(make_config()).eval()
    with torch.no_grad():
        model.tokens.weight[:50] *= 40
    model.logit_bias[50:] = NEVER_SEEN
    tokens = torch.arange(20)[None]
    before = model(tokens)[..., :50]
    model.lift_unseen()
    lengths = model.tokens.weight.norm(dim=1)
    torch.testing.assert_close(lengths[50:], lengths[:50].mean().expand(14))
    assert torch.equal(model(tokens)[..., :50], before)
    again = model.tokens.weight.clone()
    model.lift_unseen()
    assert torch.equal(model.tokens.weight, again)
