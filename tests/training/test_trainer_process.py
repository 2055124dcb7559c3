"""Runs the real command in a process of its own and treats it badly."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from microformer import checkpoint
from microformer.files import write_yaml
from microformer.training.config import RunConfig
from microformer.training.run_directory import Run

Make = Callable[..., RunConfig]


def start(config: RunConfig, dataset: Path, run: Path) -> subprocess.Popen[bytes]:
    file = run.with_suffix(".yaml")
    write_yaml(file, config.to_dict())
    command = [sys.executable, "-m", "microformer", "train", "--config", str(file), "--data", str(dataset)]
    return subprocess.Popen(
        [*command, "--out", str(run), "--resume"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def wait_for_step(process: subprocess.Popen[bytes], run: Path, step: int) -> None:
    """Until the run's metrics say that ``step`` is done, or the process has ended."""
    pause = threading.Event()
    while process.poll() is None:
        rows, _ = Run(run).metrics()
        if rows and rows[-1]["step"] >= step:
            return
        pause.wait(0.005)


def end(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    out, error = process.communicate(timeout=400)
    return process.returncode, (out + error).decode()


def weights(run: Path) -> bytes:
    found = checkpoint.newest(run)
    assert found is not None
    return (found / checkpoint.WEIGHTS).read_bytes()


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bits_as_an_undisturbed_one(
    dataset: Path, tmp_path: Path, make_run_config: Make
) -> None:
    config = make_run_config(max_steps=400, checkpoint_every=7, eval_every=50, dropout=0.1)
    status, said = end(start(config, dataset, tmp_path / "whole"))
    assert status == 0, said
    killed = 0
    for step in (3, 98, 211):
        process = start(config, dataset, tmp_path / "killed")
        wait_for_step(process, tmp_path / "killed", step)
        process.kill()
        end(process)
        killed += Run(tmp_path / "killed").status().state == "stopped"
    assert killed
    status, said = end(start(config, dataset, tmp_path / "killed"))
    assert status == 0, said
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    rows, _ = Run(tmp_path / "killed").metrics()
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps)) and steps[-1] == 400


@pytest.mark.slow
def test_sigterm_finishes_the_step_saves_and_exits_with_zero(
    dataset: Path, tmp_path: Path, make_run_config: Make
) -> None:
    config = make_run_config(max_steps=1_000_000, checkpoint_every=1_000_000, eval_every=1_000_000)
    process = start(config, dataset, tmp_path / "run")
    wait_for_step(process, tmp_path / "run", 5)
    process.send_signal(signal.SIGTERM)
    status, said = end(process)
    assert status == 0, said
    run = Run(tmp_path / "run")
    assert run.status().state == "stopped" and not run.alive()
    newest = checkpoint.newest(tmp_path / "run")
    assert newest is not None and newest.name == f"step-{run.status().step}"


@pytest.mark.slow
def test_a_trainer_imports_only_what_training_needs(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    write_yaml(tmp_path / "run.yaml", make_run_config(max_steps=1).to_dict())
    code = (
        "import sys\nfrom pathlib import Path\nfrom microformer.presets import load_preset\n"
        "from microformer.training.loop import train\n"
        "train(load_preset(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]))\n"
        "heavy = {'gradio', 'lightning', 'datasets', 'huggingface_hub', 'pandas', 'plotly', 'torch._dynamo'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    files = [str(tmp_path / "run.yaml"), str(dataset), str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
