"""What a run will cost: trials, what runs have shown, and memory."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from microformer.errors import UserError
from microformer.model.config import ModelConfig
from microformer.model.transformer import Transformer
from microformer.training.config import RunConfig, TrainConfig
from microformer.training.estimate import (
    check_memory,
    estimate,
    learn_from,
    quickest,
    seconds_per_step,
    training_memory,
)
from microformer.training.speed import REMEMBERED, SpeedMemory

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


def test_a_trial_of_a_busy_machine_is_corrected_later(
    make_run_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = iter([2.0, 3.0, 1.0, 1.5, 4.0, 6.0])  # seconds per token with one block and with two: slow, fast, slow
    monkeypatch.setattr("microformer.training.estimate._try", lambda shape, training: next(pace))
    config = make_run_config()
    times = (0.0, 10.0, 700.0, 1400.0)
    slow, remembered, fast, kept = (seconds_per_step(config, tmp_path, lambda now=now: now) for now in times)
    assert slow == remembered == 2 * fast
    assert kept == fast


def test_the_first_call_of_a_trial_does_not_count() -> None:
    now, took = [0.0], iter([50.0, 9.0, 0.2, 0.01])  # the last is not done: the trial has lasted long enough

    def work() -> None:
        now[0] += next(took)

    assert quickest(work, calls=4, clock=lambda: now[0]) == pytest.approx(0.2)
    assert next(took) == 0.01


def test_what_a_run_has_shown_counts_more_than_a_trial(make_run_config: Make, tmp_path: Path) -> None:
    config = make_run_config()
    learn_from(config, 10, 5.0, tmp_path)  # too short to tell
    assert SpeedMemory(tmp_path).seconds_per_step(config) is None
    for seconds in (40.0, 20.0, 80.0):  # the fastest was the least disturbed
        learn_from(config, 10, seconds, tmp_path)
    assert seconds_per_step(config, tmp_path) == pytest.approx(2.0)
    assert seconds_per_step(make_run_config(max_steps=7, dropout=0.1), tmp_path) == pytest.approx(2.0)
    wider = dataclasses.replace(config, model=dataclasses.replace(config.model, vocab_size=1000))
    assert seconds_per_step(wider, tmp_path) > 2.0
    for change in ({"n_layers": 3}, {"ngram_rows": 512}):
        other = dataclasses.replace(config, model=dataclasses.replace(config.model, **change))
        assert SpeedMemory(tmp_path).seconds_per_step(other) is None


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


@pytest.mark.parametrize(
    ("changes", "times"),  # what tests/benchmarks/memory.py has measured with a table of 500 MB, rounded
    [({}, 5), ({"precision": "bf16"}, 6), ({"recompute": True}, 5), ({"recompute": True, "precision": "bf16"}, 6)],
)
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_large_table_is_in_memory_several_times(
    make_run_config: Make, changes: dict[str, Any], times: int, optimizer: str
) -> None:
    config = make_run_config(**{"precision": "fp32", "optimizer": optimizer} | changes)
    without, large = (
        dataclasses.replace(config, model=dataclasses.replace(config.model, ngram_rows=rows)) for rows in (0, 10**6)
    )
    more = training_memory(large, torch.device("cpu")) - training_memory(without, torch.device("cpu"))
    assert more == times * 4 * 10**6 * config.model.d_model


def test_a_run_that_cannot_fit_is_refused_with_what_would(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = ModelConfig(d_model=4096, n_layers=8, n_heads=8, max_seq_len=8192)
    huge = RunConfig(shape, TrainConfig(batch_size=65_536))
    with pytest.raises(UserError, match=r"needs about .* GB of memory"):
        check_memory(huge, torch.device("cpu"))
    wide = RunConfig(
        ModelConfig(d_model=64, n_layers=128, max_seq_len=512), TrainConfig(batch_size=65_536, precision="fp32")
    )
    check_memory(wide, torch.device("cpu"))  # the batch goes through in pieces
    three_rows = training_memory(
        dataclasses.replace(wide, training=TrainConfig(batch_size=3, precision="fp32")), torch.device("cpu")
    )
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=three_rows))
    with pytest.raises(UserError, match=r"a batch_size of 3 would fit"):
        check_memory(wide, torch.device("cpu"))
