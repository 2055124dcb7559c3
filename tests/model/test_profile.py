"""The figures that are shown before a model is built are those of the built model."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from microformer.model import attention
from microformer.model.profile import profile
from microformer.model.transformer import Transformer
from tests.conftest import make_config

SHAPES: list[dict[str, Any]] = [
    {},
    {"activation": "gelu", "bias": True, "norm": "layernorm", "position": "learned"},
    {"n_kv_heads": 1, "qk_norm": True, "tie_weights": False},
    {"norm_position": "post", "adapter_dim": 0, "d_ff": 20},
]


@pytest.mark.parametrize("changes", SHAPES)
def test_parameters_are_exact(changes: dict[str, Any]) -> None:
    config = make_config(**changes)
    assert profile(config).total_parameters == sum(p.numel() for p in Transformer(config).parameters())


@pytest.mark.parametrize("changes", SHAPES)
def test_flops_are_those_torch_counts(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(d_model=64, **changes)
    monkeypatch.setattr(attention, "plain_is_faster", lambda query: True)  # torch counts nothing for the fused kernel
    with FlopCounterMode(display=False) as counter:
        Transformer(config)(torch.zeros(1, config.max_seq_len, dtype=torch.int64))
    counted = counter.get_total_flops() / config.max_seq_len
    assert abs(profile(config).forward_flops / counted - 1) < 0.02
