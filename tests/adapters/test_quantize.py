"""Weights in fewer bits: close to what they were, smaller, and saved and loaded as packed integers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from microformer import checkpoint
from microformer.adapters.lora import merged
from microformer.adapters.quantize import Int4Linear, Int8Linear, PackedLinear, quantized, weight_bytes
from microformer.adapters.session import SessionMemory
from microformer.errors import UserError
from microformer.model.profile import profile
from microformer.model.transformer import Transformer
from microformer.tensor_files import load_tensors, read_header, save_tensors
from tests.conftest import make_config

TOKENS = torch.arange(24).view(2, 12) % 64
SHAPES: list[dict[str, Any]] = [
    {},
    {"activation": "gelu", "bias": True, "norm": "layernorm", "position": "learned", "norm_position": "post"},
    {"position": "alibi", "n_kv_heads": 1, "qk_norm": True, "tie_weights": False, "ngram_rows": 20},
]


def make_model(**changes: Any) -> Transformer:
    torch.manual_seed(5)
    model = Transformer(make_config(d_model=64, **changes)).eval()
    for name, weight in model.named_parameters():
        if name.endswith(("long_term.up", "ngrams.weight")):
            nn.init.normal_(weight, std=0.1)
    return model


def logits(model: Transformer, session: SessionMemory | None = None) -> Tensor:
    with torch.inference_mode():
        return model(TOKENS, session=session).float().clone()


@pytest.mark.parametrize("kind", [Int8Linear, Int4Linear])
@pytest.mark.parametrize(("inputs", "outputs"), [(64, 64), (50, 33), (130, 16)])
def test_the_product_is_that_of_the_rounded_weight(kind: type[PackedLinear], inputs: int, outputs: int) -> None:
    base = nn.Linear(inputs, outputs)
    layer, hidden = kind.from_base(base), torch.randn(3, 5, inputs).bfloat16()
    weight = layer.dequantized()[:, :inputs]
    half_step = base.weight.abs().max() / (127 if kind is Int8Linear else 7)
    assert (weight - base.weight).abs().max() < half_step
    expected = hidden.float() @ weight.T + base.bias
    torch.testing.assert_close(layer(hidden).float(), expected, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("bits", [16, 8, 4])
@pytest.mark.parametrize("changes", SHAPES)
def test_a_quantized_model_says_nearly_the_same_and_is_smaller(bits: int, changes: dict[str, Any]) -> None:
    model = make_model(**changes)
    small = quantized(model, bits)
    assert small.config.bits == bits
    error = (logits(small) - logits(model)).norm() / logits(model).norm()
    assert error < {16: 0.02, 8: 0.03, 4: 0.25}[bits]
    assert weight_bytes(model) > {16: 1.9, 8: 3, 4: 4}[bits] * weight_bytes(small)


@pytest.mark.parametrize("bits", [16, 8, 4])
@pytest.mark.parametrize("changes", SHAPES)
def test_cached_is_uncached(bits: int, changes: dict[str, Any]) -> None:
    model = quantized(make_model(**changes), bits)
    cache = model.new_cache(2)
    with torch.inference_mode():
        pieces = [model(some, cache=cache).float() for some in TOKENS.split([5, 1, 1, 5], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), logits(model), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("bits", [16, 8, 4])
def test_it_is_saved_as_plain_tensors_and_comes_back_bit_for_bit(tmp_path: Path, bits: int) -> None:
    model = quantized(make_model(bias=True), bits)
    path = tmp_path / "model.safetensors"
    save_tensors(checkpoint.weights_of(model), path)
    again = checkpoint.load_weights(model.config, path).eval()
    assert checkpoint.base_hash(again) == checkpoint.base_hash(model)
    assert torch.equal(logits(again), logits(model))
    kinds = {entry["dtype"] for name, entry in read_header(path).items() if name.endswith("packed")}
    assert kinds == {16: set(), 8: {"I8"}, 4: {"U8", "I8"}}[bits]
    if bits < 16:
        tensors = load_tensors(path)
        name = next(name for name in tensors if name.endswith("qkv.packed"))
        save_tensors(tensors | {name: tensors[name].float()}, path)
        with pytest.raises(UserError, match="of F32, but must be"):
            checkpoint.load_weights(model.config, path)


@pytest.mark.parametrize("bits", [8, 4])
def test_gradients_reach_a_session(bits: int) -> None:
    model = quantized(make_model(), bits)
    blank = SessionMemory.blank(model.config, layers=(0, 1), width=4)
    up = torch.zeros_like(blank.up).requires_grad_()
    model(TOKENS, session=SessionMemory(blank.layers, blank.down, up)).float().logsumexp(-1).sum().backward()
    plain = torch.zeros_like(blank.up).requires_grad_()
    full = make_model()
    full.requires_grad_(False)
    full(TOKENS, session=SessionMemory(blank.layers, blank.down, plain)).logsumexp(-1).sum().backward()
    assert up.grad is not None and plain.grad is not None
    assert torch.cosine_similarity(up.grad.flatten(), plain.grad.flatten(), dim=0) > 0.95


def test_low_rank_additions_are_merged_and_nothing_is_quantized_twice() -> None:
    from tests.adapters.test_lora import make_adapted

    model = make_adapted()
    assert torch.equal(logits(quantized(model, 8)), logits(quantized(merged(model), 8)))
    with pytest.raises(UserError, match="8 bits already"):
        quantized(quantized(model, 8), 4)


@pytest.mark.parametrize("bits", [16, 8, 4])
def test_what_sampling_takes_is_told_as_it_is_where_most_of_a_model_is_looked_up(bits: int) -> None:
    model = make_model(ngram_rows=5_000)
    small = quantized(model, bits)
    told = profile(small.config).sampling_bytes - profile(small.config).cache_bytes_per_token * model.config.max_seq_len
    assert told == pytest.approx(weight_bytes(small), rel=0.05)
