import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from microformer.errors import UserError
from microformer.model.config import ModelConfig
from microformer.model.transformer import Transformer
from microformer.training.config import RunConfig, TrainConfig
from microformer.training.estimate import REMEMBERED, check_memory, estimate

Make = Callable[..., RunConfig]


def test_estimate_knows_parameters_and_scales_with_steps(make_run_config: Make, tmp_path: Path) -> None:
    config = make_run_config(max_steps=100)
    found = estimate(config, 10_000, tmp_path)
    assert found.parameters == sum(weight.numel() for weight in Transformer(config.model).parameters())
    assert found.steps == 100 and found.seconds == pytest.approx(100 * found.seconds_per_step)
    assert found.seconds_per_step > 0 and found.memory_bytes > 16 * found.parameters


def test_a_trial_is_made_once_for_each_shape(make_run_config: Make, tmp_path: Path) -> None:
    first = estimate(make_run_config(), 10_000, tmp_path)
    assert (tmp_path / REMEMBERED).is_file()
    again = estimate(make_run_config(max_steps=50), 10_000, tmp_path)
    assert again.seconds_per_step == first.seconds_per_step


def test_a_damaged_memory_is_measured_again(make_run_config: Make, tmp_path: Path) -> None:
    (tmp_path / REMEMBERED).write_text('{"a": "b"')
    assert estimate(make_run_config(), 10_000, tmp_path).seconds > 0


def test_a_trial_leaves_random_numbers_as_they_were(make_run_config: Make) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    estimate(make_run_config(), 10_000)
    assert torch.equal(torch.rand(3), expected)


def test_minutes_are_taken_at_their_word(make_run_config: Make) -> None:
    found = estimate(make_run_config(max_minutes=3.0), 10_000)
    assert found.steps is None and found.seconds == 180


def test_a_run_that_cannot_fit_is_refused_with_what_would() -> None:
    shape = ModelConfig(d_model=4096, n_layers=8, n_heads=8, max_seq_len=8192)
    huge = RunConfig(shape, TrainConfig(batch_size=65_536))
    with pytest.raises(UserError, match=r"needs about .* GB of memory"):
        check_memory(huge, torch.device("cpu"))
    deep = dataclasses.replace(huge, model=ModelConfig(d_model=64, n_layers=128, max_seq_len=512))
    with pytest.raises(UserError, match=r"a batch_size of \d+ would fit"):
        check_memory(deep, torch.device("cpu"))
