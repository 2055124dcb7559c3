"""What is written out for training on a CPU is the same function as the plain form, and has the same gradient."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from microformer.model import fused
from microformer.model.attention import plain_attention
from microformer.model.places import Places, score_mask
from microformer.model.positions import rotary_table
from microformer.model.transformer import Transformer
from tests.conftest import make_config


def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def same(ours: Callable[..., Tensor], plain: Callable[..., Tensor], inputs: list[Tensor]) -> None:
    outputs = ours(*inputs), plain(*inputs)
    torch.testing.assert_close(*outputs, atol=1e-5, rtol=1e-5)
    weight = torch.randn(outputs[0].shape, generator=torch.Generator().manual_seed(1))
    gradients = [torch.autograd.grad((output * weight).sum(), inputs) for output in outputs]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


def test_rms_norm() -> None:
    same(
        lambda hidden, weight: fused.RMSNormalise.apply(hidden, weight, 1e-5),
        lambda hidden, weight: F.rms_norm(hidden, (8,), weight, 1e-5),
        drawn((2, 3, 8), (8,)),
    )


def test_rotation() -> None:
    cos, sin = rotary_table(5, 8, 10_000.0).unbind(-2)
    same(
        lambda heads: fused.Rotate.apply(heads, cos, sin),
        lambda heads: heads * cos + heads.roll(4, dims=-1) * sin,
        drawn((2, 3, 5, 8)),
    )


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("alibi_heads", [0, 3])
def test_attention(alibi_heads: int, halves: bool) -> None:
    config = make_config(position="alibi" if alibi_heads else "rotary", d_model=24, n_heads=3)
    mask = score_mask(config, 2, 5, torch.float32)
    places = Places(None, mask, causal=False)
    same(
        lambda query, key, value: fused.Attend.apply(query, key, value, mask, halves),
        lambda query, key, value: plain_attention(query, key, value, places),
        drawn((6, 5, 8), (6, 5, 8), (6, 5, 8)),
    )


def test_activations() -> None:
    (wide,) = drawn((2, 3, 8))
    same(fused.SquaredRelu.apply, lambda wide: F.relu(wide) ** 2, [wide])
    same(fused.GatedSilu.apply, lambda wide: F.silu(wide[..., :4]) * wide[..., 4:], [wide])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"position": "alibi", "norm": "layernorm", "activation": "relu_squared"},
        {"n_heads": 4, "n_kv_heads": 2, "qk_norm": True, "rotary_pct": 0.5, "norm_position": "post"},
    ],
)
def test_a_whole_model_learns_the_same_with_and_without(
    changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = Transformer(make_config(**changes))
    tokens = torch.randint(0, 40, (2, 9), generator=torch.Generator().manual_seed(3))

    def gradients() -> list[Tensor]:
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        return list(torch.autograd.grad(loss, list(model.parameters())))

    ours = gradients()
    monkeypatch.setattr(fused, "pays", lambda *tensors: False)
    torch.testing.assert_close(ours, gradients(), atol=1e-5, rtol=1e-4)


def test_frozen_weights_and_sampling_take_the_plain_way() -> None:
    (weight,) = drawn((3,))
    assert fused.pays(weight) and not fused.pays(weight, weight.detach())
    with torch.no_grad():
        assert not fused.pays(weight)
