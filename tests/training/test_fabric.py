"""Several processes train as one does. Real processes on the CPU; what needs GPUs is asked for, not run."""

import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from microformer.errors import UserError
from microformer.training import fabric
from microformer.training.config import RunConfig, TrainConfig
from microformer.training.run_directory import Run
from tests.training.test_trainer_process import end, start, weights

Make = Callable[..., RunConfig]


@pytest.mark.slow
def test_two_processes_follow_the_loss_curve_of_one(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    """The same batches of 8: whole, or half of each in each process and the gradients averaged."""
    config = make_run_config(max_steps=50, batch_size=8, eval_every=1, optimizer="adamw", gradient_accumulation=2)
    two = replace(config, training=replace(config.training, devices=2))
    losses = []
    for name, one in (("alone", config), ("together", two)):
        status, said = end(start(one, dataset, tmp_path / name))
        assert status == 0, said
        assert "Traceback" not in said and "GLOBAL_RANK" not in said
        assert said.count("Finished") == 1
        rows, _ = Run(tmp_path / name).metrics()
        losses.append({row["step"]: row["val_loss"] for row in rows})
    assert list(losses[0]) == list(losses[1]) == list(range(1, 51))
    assert losses[0][50] < losses[0][1] - 0.2
    for step, loss in losses[0].items():
        assert losses[1][step] == pytest.approx(loss, abs=1e-4)
    resume_by_torchrun(dataset, tmp_path / "together", steps=53)


def resume_by_torchrun(dataset: Path, run: Path, *, steps: int) -> None:
    """torchrun starts the processes as well, and they go on where the others had stopped."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    command += ["-m", "microformer", "train", "--config", str(run.with_suffix(".yaml")), "--data", str(dataset)]
    command += ["--out", str(run), "--resume", "--training.max_steps", str(steps)]
    before = weights(run)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert ended.returncode == 0, ended.stderr
    assert Run(run).status().step == steps
    assert weights(run) != before


@pytest.mark.parametrize("strategy", ["fsdp", "deepspeed"])
def test_strategies_that_split_a_model_are_refused_without_gpus(strategy: str) -> None:
    with pytest.raises(UserError, match="GPUs, and there is none here"):
        fabric.fabric_arguments(TrainConfig(strategy=strategy, device="cpu"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"devices": 2}, {"devices": 2, "num_nodes": 1, "strategy": "ddp", "precision": "32-true"}),
        ({"strategy": "fsdp", "devices": 8, "precision": "bf16"}, {"strategy": "fsdp", "precision": "bf16-mixed"}),
        ({"strategy": "deepspeed", "nodes": 2, "precision": "fp16"}, {"num_nodes": 2, "precision": "16-mixed"}),
    ],
)
def test_settings_become_the_arguments_of_fabric(
    changes: dict[str, Any], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    found = fabric.fabric_arguments(TrainConfig(batch_size=64, **changes))
    assert found["accelerator"] == "cuda"
    assert expected.items() <= found.items()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"devices": 2, "batch_size": 15}, "try 14"),
        ({"devices": 2, "batch_size": 1}, "try 2"),
        ({"devices": 2, "batch_size": 6, "gradient_accumulation": 2}, "try 4"),
        ({"devices": 1000, "batch_size": 1000}, "processors"),
    ],
)
def test_a_batch_that_cannot_be_shared_out_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        fabric.fabric_arguments(TrainConfig(device="cpu", **changes))


def test_processes_are_not_started_from_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(UserError, match="devices is 2, but only a script"):
        fabric.launch(TrainConfig(devices=2, device="cpu"))


def test_no_process_measures_which_precision_is_faster() -> None:
    assert fabric.agreed(TrainConfig(device="cpu", devices=2)).precision == "fp32"
    assert fabric.agreed(TrainConfig(device="cpu", devices=2, precision="bf16")).precision == "bf16"


def test_one_process_is_the_first_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert fabric.is_main(TrainConfig())
    assert not fabric.is_main(TrainConfig(devices=2))
    monkeypatch.setenv("RANK", "0")
    assert fabric.is_main(TrainConfig(devices=2))
