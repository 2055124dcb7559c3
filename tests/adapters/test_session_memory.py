"""Session memories beside a model: nothing when blank, together as alone, side by side as one."""

import pytest
import torch

from microformer.adapters.session import MixedMemory, SessionMemory, blend
from microformer.model.transformer import NEVER_SEEN, Transformer
from tests.conftest import make_config


@pytest.fixture
def model() -> Transformer:
    """Three layers with seeded weights, large enough that memories show."""
    torch.manual_seed(1)
    model = Transformer(make_config(n_layers=3)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 5
    return model


def make_memory(
    seed: int, *, layers: tuple[int, ...] = (1, 2), width: int = 8, opened: tuple[int, ...] = ()
) -> SessionMemory:
    """A memory that holds random numbers."""
    generator = torch.Generator().manual_seed(seed)
    down = torch.randn(len(layers), 16, width, generator=generator)
    return SessionMemory(layers, down, torch.randn(len(layers), width, 16, generator=generator), opened)


TOKENS = torch.arange(20).view(4, 5) + 7


def test_units_that_are_added_change_nothing(model: Transformer) -> None:
    narrow = make_memory(1)
    wide = narrow.widened(20)
    with torch.inference_mode():
        torch.testing.assert_close(model(TOKENS, session=wide), model(TOKENS, session=narrow))
    assert wide.down.shape == (2, 16, 20) and bool(wide.down[..., 8:].any(1).all())
    assert narrow.widened(8) is narrow


def test_blank_memory_is_bitwise_the_base(model: Transformer) -> None:
    blank = SessionMemory.blank(model.config, layers=(0, 1, 2), width=4)
    with torch.inference_mode():
        assert torch.equal(model(TOKENS, session=blank), model(TOKENS))
    assert blank.is_blank
    assert blank.scaled(1) is None


def test_strength_runs_from_nothing_to_all(model: Transformer) -> None:
    memory = make_memory(1)
    assert memory.scaled(0) is None
    assert memory.scaled(1) is memory
    half = memory.scaled(0.5)
    assert half is not None
    hidden = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(2))
    whole_layer, half_layer = memory.layer(1), half.layer(1)
    assert whole_layer is not None and half_layer is not None
    torch.testing.assert_close(half_layer(hidden) - hidden, (whole_layer(hidden) - hidden) / 2)


def test_rows_of_a_mixed_batch_give_what_they_give_alone(model: Transformer) -> None:
    memories = [make_memory(1), None, make_memory(2, layers=(0, 2), width=3, opened=(5,)), make_memory(3, opened=(6,))]
    model.logit_bias[5:7] = NEVER_SEEN
    with torch.inference_mode():
        together = model(TOKENS, session=MixedMemory(memories))
        for row, memory in enumerate(memories):
            alone = model(TOKENS[row : row + 1], session=memory)
            torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-5)
            assert torch.equal(together[row].argmax(-1), alone[0].argmax(-1))


def test_rows_without_a_memory_stay_bitwise_the_base(model: Transformer) -> None:
    with torch.inference_mode():
        together = model(TOKENS, session=MixedMemory([make_memory(1), None, None, make_memory(2)]))
        assert torch.equal(together[1:3], model(TOKENS)[1:3])


def test_only_sessions_that_need_a_closed_token_can_say_it(model: Transformer) -> None:
    model.logit_bias[5] = NEVER_SEEN
    with torch.inference_mode():
        shut = model(TOKENS, session=make_memory(1))
        opened = model(TOKENS, session=make_memory(1, opened=(5,)))
    assert bool((shut[..., 5] < -1000).all())
    assert bool((opened[..., 5] > -1000).all())
    torch.testing.assert_close(opened[..., 6:], shut[..., 6:])


def test_blended_memories_add_what_each_adds_by_weight() -> None:
    one, two = make_memory(1, layers=(1, 2)), make_memory(2, layers=(0, 2), width=3, opened=(9,))
    mixed = blend([(one, 0.25), (two, 0.75)])
    assert mixed is not None
    assert mixed.layers == (0, 1, 2)
    assert mixed.opened == (9,)
    hidden = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(2))
    for index in range(3):
        expected = hidden.clone()
        for memory, weight in ((one, 0.25), (two, 0.75)):
            layer = memory.layer(index)
            if layer is not None:
                expected += weight * (layer(hidden) - hidden)
        blended = mixed.layer(index)
        assert blended is not None
        torch.testing.assert_close(blended(hidden), expected, atol=1e-5, rtol=1e-5)


def test_blending_one_or_none_costs_nothing() -> None:
    memory = make_memory(1)
    assert blend([(memory, 1.0)]) is memory
    assert blend([]) is None
