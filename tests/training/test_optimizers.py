"""AdamW and Muon take PyTorch's steps, in lanes as in one thread, and go on from their state."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from microformer.generation.threads import threads
from microformer.model.transformer import NEVER_SEEN, Transformer
from microformer.training import optimizers
from microformer.training.config import TrainConfig
from microformer.training.optimizers import AdamW, Muon, make_optimizer, orthogonal
from tests.conftest import make_config


def weights_with_gradients(seed: int = 0) -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    named = {name: nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in SHAPES.items()}
    for weight in named.values():
        weight.grad = torch.randn(weight.shape, generator=generator)
    return named


SHAPES = {"square": (8, 8), "wide": (4, 12), "tall": (12, 4), "vector": (5,), "number": ()}


def test_adamw_takes_the_same_steps_as_pytorch() -> None:
    ours, theirs = weights_with_gradients(), weights_with_gradients()
    settings = {"betas": (0.9, 0.95), "weight_decay": 0.1}
    adamw = AdamW(ours, learning_rate=0.01, decayed=set(SHAPES), **settings)  # type: ignore[arg-type]
    reference = torch.optim.AdamW(theirs.values(), lr=0.01, **settings)  # type: ignore[arg-type]
    for _ in range(5):
        adamw.step(1.0)
        reference.step()
    for name in SHAPES:
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-6, rtol=1e-5)


def test_muon_takes_the_same_steps_as_pytorch_up_to_its_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "TOWARDS_ONE", ((3.4445, -4.7750, 2.0315),) * 4)  # PyTorch's only polynomial
    ours = {name: weight for name, weight in weights_with_gradients().items() if weight.ndim == 2}
    theirs = {name: weight for name, weight in weights_with_gradients().items() if weight.ndim == 2}
    before = {name: weight.detach().clone() for name, weight in ours.items()}
    muon = Muon(ours, learning_rate=0.02, weight_decay=0.1, arithmetic=torch.bfloat16)
    reference = torch.optim.Muon(theirs.values(), lr=0.02, weight_decay=0.1, ns_steps=4)
    for _ in range(3):
        muon.step(1.0)
        reference.step()
    for name in ours:
        moved, expected = ours[name].detach() - before[name], theirs[name].detach() - before[name]
        assert F.cosine_similarity(moved.flatten(), expected.flatten(), dim=0) > 0.99
        assert moved.norm() == pytest.approx(float(expected.norm()), rel=0.03)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 6, 20), (2, 20, 6)])
def test_orthogonal_brings_singular_values_near_one_and_keeps_directions(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    made = orthogonal(matrices)
    assert made.shape == matrices.shape
    values = torch.linalg.svdvals(made)
    assert values.max() < 1.3 and values.min() > 0.6
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    assert F.cosine_similarity(made.flatten(1), (left @ right).flatten(1)).min() > 0.95


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_steps_in_lanes_are_the_steps_of_one_thread(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microformer.training.optimizers.FEW", 0)
    models, before = [small_model(), small_model()], torch.get_num_threads()
    for model, count in zip(models, (1, 3), strict=True):
        with threads(count):
            one = make_optimizer(model, TrainConfig(optimizer=optimizer))
        for _ in range(3):
            step(model, one)
    assert torch.get_num_threads() == before
    for weight, in_lanes in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(in_lanes, weight, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_state_goes_on_with_the_same_bits(optimizer: str) -> None:
    models = [small_model(), small_model()]
    config = TrainConfig(optimizer=optimizer)
    first, second = (make_optimizer(model, config) for model in models)
    for _ in range(3):
        step(models[0], first)
    models[1].load_state_dict(models[0].state_dict())
    second.load_state({name: tensor.clone() for name, tensor in first.state().items()})
    for model, one in zip(models, (first, second), strict=True):
        step(model, one)
    for name, weight in models[0].named_parameters():
        assert torch.equal(weight, dict(models[1].named_parameters())[name]), name


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_tokens_never_seen_keep_their_own_vector(optimizer: str) -> None:
    model = small_model()
    model.logit_bias[40:] = NEVER_SEEN
    before = model.tokens.weight.detach().clone()
    one = make_optimizer(model, TrainConfig(optimizer=optimizer, weight_decay=0.5))
    for _ in range(3):
        step(model, one)
    assert torch.equal(model.tokens.weight[40:], before[40:])
    assert not torch.equal(model.tokens.weight[:40], before[:40])


def test_weights_without_gradients_are_left_alone() -> None:
    model = small_model()
    for name, weight in model.named_parameters():
        weight.requires_grad_(".long_term." in name)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    step(model, make_optimizer(model, TrainConfig(optimizer="muon")))
    moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved and all(".long_term." in name for name in moved)


def small_model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(make_config())


def step(model: Transformer, optimizer: object) -> None:
    tokens = torch.randint(0, 40, (2, 9), generator=torch.Generator().manual_seed(3))
    model.zero_grad()
    F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
    optimizer.step(1.0)  # type: ignore[attr-defined]
