"""Runs on rows with answers keep what runs on text promise: an exact resume, and padding that changes nothing."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from microformer import checkpoint
from microformer.data.datasets import Dataset
from microformer.data.prepare import prepare
from microformer.errors import UserError
from microformer.tasks.choose import task_of
from microformer.training.config import RunConfig
from microformer.training.evaluate import evaluate
from microformer.training.loop import train
from microformer.training.run_directory import Run
from tests.training.test_loop import interrupted, quiet, weights

KINDS = {"labelled": "encoder", "valued": "decoder", "paired": "encoder_decoder"}


def config_for(kind: str, make: Callable[..., RunConfig]) -> RunConfig:
    config = make(dropout=0.2, batch_size=8)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, kind=KINDS[kind]))


@pytest.mark.parametrize("kind", list(KINDS))
def test_stopped_and_resumed_runs_on_rows_end_with_the_same_bits(
    datasets: Path, tmp_path: Path, make_run_config: Callable[..., RunConfig], kind: str
) -> None:
    config = config_for(kind, make_run_config)
    train(config, datasets / kind, tmp_path / "whole", report=quiet)
    interrupted(config, datasets / kind, tmp_path / "parts", at=5)
    train(config, datasets / kind, tmp_path / "parts", resume=True, report=quiet)
    assert Run(tmp_path / "parts").status().step == 12
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


@pytest.mark.parametrize("kind", list(KINDS))
def test_rows_measure_the_same_alone_and_padded_together(
    datasets: Path, tmp_path: Path, make_run_config: Callable[..., RunConfig], kind: str
) -> None:
    train(config_for(kind, make_run_config), datasets / kind, tmp_path / "run", report=quiet)
    loaded, data = checkpoint.load(tmp_path / "run"), Dataset.open(datasets / kind)
    alone, together = (
        evaluate(loaded.model, data, task=task_of(loaded.config), batch_size=size).to_dict() for size in (1, 64)
    )
    assert alone.keys() == together.keys() and "bits_per_byte" not in alone
    assert alone.pop("confusion", None) == together.pop("confusion", None)
    for name, value in alone.items():
        assert value == pytest.approx(together[name], rel=1e-4, abs=1e-5), name


def test_rows_too_long_are_counted_and_the_epoch_is_counted_in_rows(
    datasets: Path, tmp_path: Path, make_run_config: Callable[..., RunConfig]
) -> None:
    told: list[str] = []
    config = config_for("labelled", make_run_config)
    config = dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, max_seq_len=12),
        training=dataclasses.replace(config.training, max_steps=None, max_epochs=1),
    )
    train(config, datasets / "labelled", tmp_path / "run", report=told.append)
    cut = sum(len(row) > 10 for row in _texts(datasets / "labelled.jsonl"))
    assert cut and any(line.startswith(f"{cut} of 180 rows are longer than the context of 12") for line in told)
    assert Run(tmp_path / "run").status().step == pytest.approx(180 / 8, abs=1)


def _texts(path: Path) -> list[str]:
    rows = [json.loads(line)["text"] for line in path.read_text().splitlines()]
    return [text for number, text in enumerate(rows, start=1) if number % 10]


def test_a_run_is_not_resumed_with_other_labels(
    datasets: Path, tmp_path: Path, make_run_config: Callable[..., RunConfig]
) -> None:
    config = config_for("labelled", make_run_config)
    train(config, datasets / "labelled", tmp_path / "run", report=quiet)
    rows = [json.loads(line) for line in (datasets / "labelled.jsonl").read_text().splitlines()]
    renamed = [row | {"label": row["label"].upper()} for row in rows]
    (tmp_path / "other.jsonl").write_text("\n".join(json.dumps(row) for row in renamed))
    prepare([tmp_path / "other.jsonl"], str(tmp_path / "run"), tmp_path / "other")
    with pytest.raises(UserError, match="other labels than the run"):
        train(config, tmp_path / "other", tmp_path / "run", resume=True, report=quiet)


def test_a_classifier_may_begin_from_a_model_of_language(
    datasets: Path, tmp_path: Path, make_run_config: Callable[..., RunConfig]
) -> None:
    language = dataclasses.replace(make_run_config(), task="language_modelling")
    train(language, datasets / "labelled", tmp_path / "language", report=quiet)
    train(
        make_run_config(max_steps=1), datasets / "labelled", tmp_path / "run", init=tmp_path / "language", report=quiet
    )
    before, after = (checkpoint.load(tmp_path / name).model for name in ("language", "run"))
    assert after.config.outputs == 2 and after.pooled is not None and before.pooled is None
    assert torch.allclose(before.tokens.weight, after.tokens.weight, atol=0.05)
