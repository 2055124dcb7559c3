"""What auto chooses for a run, and how it says so."""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from microformer.training import auto, precision
from microformer.training.auto import choose_compile, home_of, resolve_auto
from microformer.training.config import RunConfig
from microformer.training.progress import Budget
from microformer.training.run_directory import Run

Make = Callable[..., RunConfig]
CPU = torch.device("cpu")
LONG, SHORT = Budget(None, 7200.0), Budget(None, 60.0)


@pytest.fixture
def text_config(make_run_config: Make) -> RunConfig:
    return dataclasses.replace(make_run_config(), task="language_modelling")


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "compiler_works", lambda: True)


def compiled(config: RunConfig, budget: Budget) -> tuple[str, str]:
    return choose_compile(config, CPU, budget, None)


def test_only_long_runs_are_compiled(text_config: RunConfig) -> None:
    assert compiled(text_config, SHORT) == ("off", "the run is short")
    assert compiled(text_config, Budget(1000)) == ("off", "the run is short")
    assert compiled(text_config, LONG) == ("on", "the run is long")


def test_what_is_asked_for_is_taken(text_config: RunConfig) -> None:
    for asked, budget in itertools.product(("on", "off"), (LONG, SHORT)):
        config = dataclasses.replace(text_config, training=dataclasses.replace(text_config.training, compile=asked))
        assert compiled(config, budget) == (asked, "as asked")


def test_what_would_not_repeat_or_change_shape_is_not_compiled(text_config: RunConfig) -> None:
    wet = dataclasses.replace(text_config, model=dataclasses.replace(text_config.model, dropout=0.1))
    assert compiled(wet, LONG)[0] == "off"
    assert compiled(dataclasses.replace(text_config, task="classification"), LONG)[0] == "off"


def test_a_machine_without_a_compiler_trains_without(text_config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "compiler_works", lambda: False)
    assert compiled(text_config, LONG) == ("off", "this machine's compiler does not work")


def test_a_sentence_tells_every_choice(make_run_config: Make, tmp_path: Path) -> None:
    config, how = resolve_auto(make_run_config(precision="auto"), Run(tmp_path / "run"), CPU, SHORT)
    assert config.training.precision in ("fp32", "bf16") and config.training.precision in how
    assert all(word in how for word in ("measured", "plain attention", "1 thread", "not compiled"))


def test_whoever_waits_for_the_compiler_is_told(text_config: RunConfig, tmp_path: Path) -> None:
    config, how = resolve_auto(text_config, Run(tmp_path / "run"), CPU, LONG)
    assert config.training.compile == "on" and "may take a minute" in how


def test_the_number_format_is_measured_once_for_each_machine_and_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = iter([2.0, 1.0, 2.6, 2.0, 2.0, 1.8, 9.0, 1.0])  # fp32 and bf16, in turn
    monkeypatch.setattr(precision, "_seconds", lambda dtype, tokens, width: next(taken))

    def another_process(tokens: int) -> float:
        precision.cpu_speedup.cache_clear()
        return precision.cpu_speedup(tokens, 16, tmp_path)

    assert another_process(64) == another_process(64) == 2.0  # clear
    assert another_process(128) == 1.3
    assert another_process(128) == pytest.approx(2.0 / 1.8)  # a close one is measured again: the fastest counts
    precision.cpu_speedup.cache_clear()


def test_measurements_are_kept_in_the_workspace_of_a_run_or_beside_it(tmp_path: Path) -> None:
    assert home_of(tmp_path / "home" / "runs" / "abc") == tmp_path / "home"
    assert home_of(tmp_path / "mine") == tmp_path
