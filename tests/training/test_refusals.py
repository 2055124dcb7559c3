"""What a run cannot do is said in a sentence, before anything of it is there."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microformer.errors import UserError
from microformer.tasks.choose import task_of
from microformer.training.config import RunConfig
from microformer.training.loop import train
from microformer.training.run_directory import Run

Make = Callable[..., RunConfig]


def quiet(line: str) -> None:
    """Nobody is at the terminal."""


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"batch_size": 4, "gradient_accumulation": 3}, "must be a multiple"),
    ({"precision": "fp16"}, "fp16"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_what_cannot_work_is_refused_in_a_sentence(
    dataset: Path, tmp_path: Path, make_run_config: Make, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        train(make_run_config(**changes), dataset, tmp_path / "run", report=quiet)
    assert not Run(tmp_path / "run").exists()


def test_a_run_that_is_there_is_not_overwritten(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    train(make_run_config(max_steps=1), dataset, tmp_path / "run", report=quiet)
    with pytest.raises(UserError, match="already a run"):
        train(make_run_config(max_steps=1), dataset, tmp_path / "run", report=quiet)


def test_a_context_longer_than_the_text_is_refused(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    config = make_run_config()
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, max_seq_len=60_000))
    with pytest.raises(UserError, match="max_seq_len"):
        train(config, dataset, tmp_path / "run", report=quiet)


def test_a_model_too_large_for_the_disk_is_refused(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    config = make_run_config()
    huge = dataclasses.replace(config.model, d_model=8192, n_layers=128)
    with pytest.raises(UserError, match="MB free"):
        train(dataclasses.replace(config, model=huge), dataset, tmp_path / "run", report=quiet)


def test_a_model_in_fewer_bits_is_not_trained(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    config = make_run_config()
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, bits=8))
    with pytest.raises(UserError, match="bits is 8"):
        train(config, dataset, tmp_path / "run", report=quiet)


def test_resume_with_another_model_is_refused(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    config = make_run_config(max_steps=1)
    train(config, dataset, tmp_path / "run", report=quiet)
    wider = dataclasses.replace(config, model=dataclasses.replace(config.model, n_layers=3))
    with pytest.raises(UserError, match=r"model\.n_layers is 3"):
        train(wider, dataset, tmp_path / "run", resume=True, report=quiet)


def test_resume_with_another_configuration_beside_it_is_refused(
    dataset: Path, tmp_path: Path, make_run_config: Make
) -> None:
    config, run = make_run_config(max_steps=1), Run(tmp_path / "run")
    train(config, dataset, run.path, report=quiet)
    untied = dataclasses.replace(run.config(), model=dataclasses.replace(run.config().model, tie_weights=False))
    run.write_config(untied)
    with pytest.raises(UserError, match="does not fit its configuration"):
        train(untied, dataset, run.path, resume=True, report=quiet)


def test_a_file_that_the_machine_refuses_is_told_in_a_sentence(
    dataset: Path, tmp_path: Path, make_run_config: Make
) -> None:
    run = Run(tmp_path / "run")

    def spoil() -> float:
        if (run.path / "metrics.jsonl").is_file():
            (run.path / "metrics.jsonl").unlink()
        (run.path / "metrics.jsonl" / "x").mkdir(parents=True, exist_ok=True)
        return 0.0

    with pytest.raises(IsADirectoryError):
        train(make_run_config(max_steps=1), dataset, run.path, clock=spoil, report=quiet)
    assert run.status().message == f"{run.path}/metrics.jsonl cannot be used: Is a directory; choose another place."


def test_rows_that_are_none_do_not_hinder_a_resume(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    config, run = make_run_config(max_steps=1), Run(tmp_path / "run")
    train(config, dataset, run.path, report=quiet)
    (run.path / "metrics.jsonl").write_text('5\n{}\n{"step": "one"}\n{"step": 1, "loss": 2.0}\n{"step": 9}\n')
    train(make_run_config(max_steps=2), dataset, run.path, resume=True, report=quiet)
    assert [row["step"] for row in run.metrics()[0]] == [1, 2]


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"labels": 5}, "labels"),
        ({"task": "regression", "value_mean": "x"}, "value_mean"),
        ({"task": "classification", "labels": ["a", "b"]}, "needs a model with 2 outputs"),
        ({"task": "classification"}, "labels"),
        ({"task": "zzz"}, "names the task 'zzz'"),
    ],
)
def test_a_task_that_cannot_be_is_refused(odd: dict[str, Any], words: str, make_run_config: Make) -> None:
    with pytest.raises(UserError, match=words):
        task_of(make_run_config().to_dict() | odd)


def test_resume_with_another_optimizer_is_refused(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    train(make_run_config(max_steps=1), dataset, tmp_path / "run", report=quiet)
    with pytest.raises(UserError, match="another optimizer"):
        train(make_run_config(optimizer="adamw"), dataset, tmp_path / "run", resume=True, report=quiet)
