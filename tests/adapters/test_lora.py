"""Low-rank additions: nothing at first, the same merged and unmerged, and only they learn."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from microformer import checkpoint
from microformer.adapters.build import build_model
from microformer.adapters.freeze import freeze_matching
from microformer.adapters.lora import LoRALinear, merged
from microformer.adapters.session import SessionMemory
from microformer.errors import UserError
from microformer.model.transformer import Transformer
from microformer.tensor_files import save_tensors
from tests.conftest import make_config

TOKENS = torch.arange(24).view(2, 12) % 64


def make_adapted(*, targets: str = "*.qkv,*.out,*.up,*.down", trained: bool = True, **changes: object) -> Transformer:
    torch.manual_seed(5)
    model = build_model(make_config(lora_rank=3, lora_targets=targets, **changes)).eval()
    if trained:
        for name, weight in model.named_parameters():
            if ".lora_up" in name or ".long_term.up" in name:
                nn.init.normal_(weight, std=0.5)
    return model


def logits(model: Transformer, session: SessionMemory | None = None) -> Tensor:
    with torch.inference_mode():
        return model(TOKENS, session=session).clone()


def test_from_base_changes_nothing_and_shares_the_weight() -> None:
    base = nn.Linear(6, 4)
    layer = LoRALinear.from_base(base, rank=2, alpha=8)
    hidden = torch.randn(3, 6)
    assert layer.weight is base.weight
    assert torch.equal(layer(hidden), base(hidden))


@pytest.mark.parametrize("changes", [{}, {"bias": True, "activation": "gelu", "norm_position": "post"}])
def test_merged_is_unmerged(changes: dict[str, object]) -> None:
    model = make_adapted(**changes)
    before, plain = logits(model), logits(make_adapted(trained=False, **changes))
    assert not torch.allclose(before, plain, atol=1e-2)
    weights = checkpoint.weights_of(model)
    layers = [module for module in model.modules() if isinstance(module, LoRALinear)]
    for layer in layers:
        layer.merge()
    torch.testing.assert_close(logits(model), before, atol=1e-5, rtol=0)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in checkpoint.weights_of(model).items())
    for layer in layers:
        layer.unmerge()
    assert torch.equal(logits(model), before)


def test_a_merged_copy_is_a_plain_model_that_says_the_same() -> None:
    model = make_adapted()
    plain = merged(model)
    assert plain.config == make_config(lora_targets=model.config.lora_targets)
    assert plain.state_dict().keys() == Transformer(plain.config).state_dict().keys()
    torch.testing.assert_close(logits(plain), logits(model), atol=1e-5, rtol=0)
    assert any(isinstance(module, LoRALinear) for module in model.modules())


def test_it_is_saved_and_loaded_as_any_model(tmp_path: Path) -> None:
    model = make_adapted()
    save_tensors(checkpoint.weights_of(model), tmp_path / "model.safetensors")
    again = checkpoint.load_weights(model.config, tmp_path / "model.safetensors").eval()
    assert checkpoint.base_hash(again) == checkpoint.base_hash(model)
    assert torch.equal(logits(again), logits(model))


def test_it_composes_with_a_session() -> None:
    model = make_adapted()
    blank = SessionMemory.blank(model.config, layers=(0, 1), width=4)
    assert torch.equal(logits(model, blank.scaled(1.0)), logits(model))
    taught = SessionMemory(blank.layers, blank.down, torch.randn_like(blank.up))
    torch.testing.assert_close(logits(merged(model), taught), logits(model, taught), atol=1e-4, rtol=0)


def test_patterns_choose_the_layers_and_one_that_fits_none_is_refused() -> None:
    model = make_adapted(targets="*.qkv, blocks.1.*, !*.down")
    found = {name for name, module in model.named_modules() if isinstance(module, LoRALinear)}
    assert found == {f"blocks.{i}.attention.qkv" for i in (0, 1)} | {
        "blocks.1.attention.out",
        "blocks.1.feed_forward.up",
    }
    with pytest.raises(UserError, match=r"lora_targets has the pattern \*\.query"):
        make_adapted(targets="*.query")


def learning(model: Transformer) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


def test_only_the_additions_learn_unless_others_are_let_go() -> None:
    model = make_adapted()
    freeze_matching(model, "")
    assert learning(model) == {name for name, _ in model.named_parameters() if ".lora_" in name}
    freeze_matching(model, "!*.long_term.*, blocks.0.*")
    names = {name for name, _ in model.named_parameters() if ".lora_" in name or ".long_term." in name}
    assert learning(model) == {name for name in names if not name.startswith("blocks.0.")}


def test_freezing_by_pattern() -> None:
    model = Transformer(make_config())
    freeze_matching(model, "*,!*.long_term.*")
    assert learning(model) == {name for name, _ in model.named_parameters() if ".long_term." in name}
    with pytest.raises(UserError, match="freeze has the pattern embedding"):
        freeze_matching(model, "embedding*")
    with pytest.raises(UserError, match="leaves no weight"):
        freeze_matching(model, "*")
