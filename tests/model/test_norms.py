"""Our norms are PyTorch's, and hand on the number format of their weights."""

import pytest
import torch
from torch import nn

from microformer.model.norms import LayerNorm, RMSNorm


def test_rms_norm_and_its_gradient_are_those_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 5, 16, generator=generator)
    ours, theirs = RMSNorm(16, 1e-5), nn.RMSNorm(16, eps=1e-5)
    with torch.no_grad():
        ours.weight.copy_(torch.rand(16, generator=generator))
        theirs.weight.copy_(ours.weight)
    inputs = [hidden.clone().requires_grad_() for _ in range(2)]
    outputs = [norm(one) for norm, one in zip((ours, theirs), inputs, strict=True)]
    torch.testing.assert_close(*outputs, atol=1e-6, rtol=1e-6)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm", [RMSNorm(16, 1e-5), LayerNorm(16, eps=1e-5), LayerNorm(16, eps=1e-5, bias=False)])
@pytest.mark.parametrize("learning", [False, True])
def test_what_is_normalised_has_the_number_format_of_the_weight(norm: nn.Module, learning: bool) -> None:
    hidden = torch.randn(3, 16, generator=torch.Generator().manual_seed(0)).requires_grad_(learning)
    expected = norm.float()(hidden)
    assert expected.dtype == torch.float32
    rounded = norm.bfloat16()(hidden)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), expected, atol=0.02, rtol=0.02)
