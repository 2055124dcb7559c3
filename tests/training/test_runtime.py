"""However a batch is cut and whoever learns from its pieces, the gradient is the same."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from microformer.model.transformer import NEVER_SEEN, Transformer
from microformer.tasks.batch import IGNORED, Batch
from microformer.tasks.language import LanguageModelling
from microformer.training import runtime as runtimes
from microformer.training.runtime import PlainRuntime
from tests.conftest import make_config

CPU = torch.device("cpu")


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two lanes, for however little work."""
    monkeypatch.setattr("microformer.training.lanes.WORTH_SHARING", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def model_and_batch(**changes: object) -> tuple[Transformer, Tensor, Tensor]:
    torch.manual_seed(0)
    tokens = torch.randint(0, 40, (5, 9), generator=torch.Generator().manual_seed(3))
    return Transformer(make_config(**changes)), tokens[:, :-1], tokens[:, 1:]


def plain_gradients(model: Transformer, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
    return list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("parts", [1, 5])
@pytest.mark.usefixtures("two_threads")
def test_lanes_and_parts_give_the_gradient_of_the_whole_batch(
    precision: str, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "PIECE_NUMBERS", 2 * 8 * 16)
    model, inputs, targets = model_and_batch()
    expected = plain_gradients(model, inputs, targets)
    runtime = PlainRuntime(model, CPU, precision)
    loss = runtime.learn(LanguageModelling(), Batch(inputs, targets), parts=parts, seed=1)
    exact = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()).detach()
    assert float(loss) == pytest.approx(float(exact), abs=1e-5 if precision == "fp32" else 0.02)
    for weight, gradient in zip(model.parameters(), expected, strict=True):
        assert weight.grad is not None and weight.grad.dtype == torch.float32
        if precision == "fp32":
            torch.testing.assert_close(weight.grad, gradient, atol=1e-6, rtol=1e-4)
        elif gradient.norm() > 1e-4:
            assert F.cosine_similarity(weight.grad.flatten(), gradient.flatten(), dim=0) > 0.98


@pytest.mark.usefixtures("two_threads")
def test_lanes_drop_the_same_for_the_same_seed() -> None:
    model, inputs, targets = model_and_batch(dropout=0.3)
    model.train()
    runtime = PlainRuntime(model, CPU, "fp32")
    losses = [
        float(runtime.learn(LanguageModelling(), Batch(inputs, targets), parts=1, seed=seed)) for seed in (1, 2, 1)
    ]
    assert losses[0] == losses[2] != losses[1]


def test_tokens_that_cannot_come_may_be_left_out() -> None:
    model, inputs, targets = model_and_batch()
    model.logit_bias[40:] = NEVER_SEEN
    expected = plain_gradients(model, inputs, targets)
    runtime = PlainRuntime(model, CPU, "fp32")
    runtime.learn(LanguageModelling(torch.arange(40)), Batch(inputs, targets), parts=1, seed=1)
    for weight, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, atol=1e-6, rtol=1e-4)


def test_the_quick_model_follows_the_weights() -> None:
    model, inputs, _ = model_and_batch()
    runtime = PlainRuntime(model, CPU, "bf16")
    with torch.no_grad():
        model.tokens.weight.mul_(2)
    quick = runtime.quick_model()
    assert torch.equal(quick.tokens.weight, model.tokens.weight)
    assert quick.blocks[0].attention.qkv.weight.dtype == torch.bfloat16
    torch.testing.assert_close(quick(inputs), model(inputs), atol=0.05, rtol=0.05)


@pytest.mark.usefixtures("two_threads")
def test_computing_again_gives_the_same_gradient_dropout_included() -> None:
    gradients = []
    for recompute in (False, True):
        model, inputs, targets = model_and_batch(dropout=0.3)
        model.recompute = recompute
        PlainRuntime(model.train(), CPU, "fp32").learn(LanguageModelling(), Batch(inputs, targets), parts=1, seed=1)
        gradients.append([weight.grad for weight in model.parameters()])
    torch.testing.assert_close(*gradients, atol=0, rtol=0)


def test_pieces_with_more_to_predict_weigh_more() -> None:
    """Rows of which only some targets count: the mean is over all of them, however the batch is cut."""
    model, inputs, targets = model_and_batch()
    targets = targets.clone()
    targets[1:, 2:] = IGNORED
    expected = plain_gradients(model, inputs, targets)
    PlainRuntime(model, CPU, "fp32").learn(LanguageModelling(), Batch(inputs, targets), parts=3, seed=1)
    for weight, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "changes", [{"norm_position": "post"}, {"kind": "encoder_decoder"}, {"kind": "encoder", "embedding_norm": True}]
)
def test_the_half_precise_copy_says_nearly_the_same_whatever_the_kind(changes: dict[str, object]) -> None:
    model, inputs, targets = model_and_batch(**changes)
    given = {"source": targets} if model.encoder else {}
    torch.testing.assert_close(runtimes.in_bf16(model)(inputs, **given), model(inputs, **given), atol=0.01, rtol=0.01)
