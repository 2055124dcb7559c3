"""Dropout that draws from a generator of its own."""

import pytest
import torch

from microformer.model.dropout import chance_from, dropout


def test_a_generator_of_ones_own_decides_what_is_dropped() -> None:
    made = []
    for seed in (1, 1, 2):
        with chance_from(torch.Generator().manual_seed(seed)):
            made.append(dropout(torch.ones(100, 33), 0.25))
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    assert made[0].mean() == pytest.approx(1, abs=0.05)
    assert (made[0] == 0).float().mean() == pytest.approx(0.25, abs=0.03)


def test_other_random_numbers_are_left_as_they_were() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with chance_from(torch.Generator().manual_seed(1)):
        dropout(torch.ones(10), 0.5)
    assert torch.equal(torch.rand(3), expected)
    assert dropout(torch.ones(10), 0.0).sum() == 10


def test_strength_scales_the_share_that_is_dropped() -> None:
    for strength in (0.0, 0.5):
        with chance_from(torch.Generator().manual_seed(1), strength):
            dropped = dropout(torch.ones(20_000), 0.5) == 0
        assert float(dropped.float().mean()) == pytest.approx(0.5 * strength, abs=0.02)
