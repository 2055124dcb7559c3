"""The figures that are shown before a model is built are those of the built model."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from microformer.adapters.build import build_model
from microformer.model import attention
from microformer.model.profile import profile
from tests.conftest import make_config

SHAPES: list[dict[str, Any]] = [
    {},
    {"lora_rank": 3, "lora_targets": "*.qkv,*.down"},
    {"activation": "gelu", "bias": True, "norm": "layernorm", "position": "learned"},
    {"n_kv_heads": 1, "qk_norm": True, "tie_weights": False},
    {"norm_position": "post", "adapter_dim": 0, "d_ff": 20},
    {"kind": "encoder", "outputs": 3, "embedding_norm": True, "bias": True},
    {"kind": "encoder_decoder", "n_encoder_layers": 1, "norm": "layernorm"},
]


@pytest.mark.parametrize("changes", SHAPES)
def test_parameters_are_exact(changes: dict[str, Any]) -> None:
    config = make_config(**changes)
    assert profile(config).total_parameters == sum(p.numel() for p in build_model(config).parameters())


@pytest.mark.parametrize("changes", SHAPES)
def test_flops_are_those_torch_counts(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(d_model=64, **changes)
    monkeypatch.setattr(attention, "plain_is_faster", lambda query: True)  # torch counts nothing for the fused kernel
    with FlopCounterMode(display=False) as counter:
        tokens = torch.zeros(1, config.max_seq_len, dtype=torch.int64)
        build_model(config)(tokens, source=tokens if config.kind == "encoder_decoder" else None)
    counted = counter.get_total_flops() / config.max_seq_len
    assert abs(profile(config).forward_flops / counted - 1) < 0.02
