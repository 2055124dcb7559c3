"""Metrics reach other tools as they stand in metrics.jsonl."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from microformer.errors import UserError
from microformer.training.config import RunConfig
from microformer.training.loggers import Log
from microformer.training.loop import train
from microformer.training.run_directory import Run


def test_tensorboard_reads_what_metrics_jsonl_says(
    dataset: Path, tmp_path: Path, make_run_config: Callable[..., RunConfig]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(make_run_config(logger="tensorboard"), dataset, tmp_path / "run", report=lambda line: None)
    rows, _ = Run(tmp_path / "run").metrics()
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    for name in ("loss", "val_loss", "lr"):
        expected = [(row["step"], pytest.approx(row[name])) for row in rows if row[name] is not None]
        assert [(event.step, event.value) for event in events.Scalars(name)] == expected


@pytest.mark.parametrize("tool", ["tensorboard", "wandb"])
def test_a_tool_that_is_not_there_is_a_sentence(tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning.fabric.loggers", None)
    monkeypatch.setitem(sys.modules, "lightning.pytorch.loggers", None)
    with pytest.raises(UserError, match=f"{tool} is not installed"):
        Log(tool, tmp_path)
