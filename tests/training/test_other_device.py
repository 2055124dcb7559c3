"""What a GPU would do with training, as far as a machine without one can tell: the same, and no device is mixed."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from microformer.training.config import RunConfig
from microformer.training.loop import train
from microformer.training.run_directory import Run
from tests.other_device import other_device
from tests.training.test_loop import quiet
from tests.training.test_task_runs import KINDS

Make = Callable[..., RunConfig]


def told(run: Path) -> list[float]:
    """The loss of a run's first step, and its last validation loss."""
    rows, _ = Run(run).metrics()
    return [rows[0]["loss"], rows[-1]["val_loss"]]


def losses(config: RunConfig, data: Path, run: Path) -> list[float]:
    train(config, data, run, report=quiet)
    return told(run)


def losses_elsewhere(config: RunConfig, data: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """On the other device, where the run is stopped in the middle and resumed."""
    half = dataclasses.replace(config, training=dataclasses.replace(config.training, max_steps=2))
    with other_device() as device, monkeypatch.context() as patch:
        patch.setattr("microformer.training.setup.find_device", lambda name: device)
        train(half, data, run, report=quiet)
        train(config, data, run, resume=True, report=quiet)
    return told(run)


@pytest.mark.parametrize(
    ("precision", "changes"),
    [
        ("fp32", {"position": "alibi"}),
        ("fp32", {"position": "rotary", "activation": "swiglu", "norm": "rmsnorm", "qk_norm": True}),
        ("bf16", {"position": "alibi", "window": 8, "sinks": 2}),
        ("bf16", {"position": "learned", "n_kv_heads": 1, "norm_position": "post"}),
        ("bf16", {"position": "sinusoidal", "kind": "encoder"}),
    ],
)
def test_a_run_on_text_is_the_same_on_another_device(
    precision: str,
    changes: dict[str, object],
    dataset: Path,
    make_run_config: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = make_run_config(precision=precision, max_steps=4, schedule="constant", warmup_steps=0)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, **changes))
    there = losses_elsewhere(config, dataset, tmp_path / "there", monkeypatch)
    assert there == pytest.approx(losses(config, dataset, tmp_path / "here"), rel=1e-4 if precision == "fp32" else 2e-2)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_run_on_rows_is_the_same_on_another_device(
    kind: str, datasets: Path, make_run_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_run_config(max_steps=4, schedule="constant", warmup_steps=0, recompute=True)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, kind=KINDS[kind]))
    there = losses_elsewhere(config, datasets / kind, tmp_path / "there", monkeypatch)
    assert there == pytest.approx(losses(config, datasets / kind, tmp_path / "here"), rel=1e-3)


def test_dropout_is_drawn_on_another_device(
    dataset: Path, make_run_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_run_config(max_steps=4, dropout=0.2, precision="bf16", anneal_dropout=True)
    there = losses_elsewhere(config, dataset, tmp_path / "there", monkeypatch)
    assert there == pytest.approx(losses(config, dataset, tmp_path / "here"), rel=0.1)  # other units are dropped
