"""Kill a trainer with -9 at twenty random moments, resume it, and compare its last weights with an undisturbed run's.

    python tests/benchmarks/kill.py TEXT

The moments are drawn from the time that the undisturbed run took, so that they fall into imports, steps, evaluations
and the writing of checkpoints (one every 15 steps) alike. Takes about two minutes.
"""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from microformer import checkpoint
from microformer.data.prepare import prepare
from microformer.training.run_directory import Run

KILLS, STEPS = 20, 600
SETTINGS = {
    "model.d_model": 32,
    "model.n_layers": 2,
    "model.max_seq_len": 32,
    "model.dropout": 0.1,
    "training.precision": "fp32",
    "training.batch_size": 8,
    "training.max_steps": STEPS,
    "training.checkpoint_every": 15,
    "training.eval_every": 100,
}


def start(data: Path, run: Path) -> subprocess.Popen[bytes]:
    flags = [word for name, value in SETTINGS.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "microformer", "train", "--config", "presets/tiny.yaml", "--data", str(data)]
    return subprocess.Popen([*command, "--out", str(run), "--resume", *flags], stderr=subprocess.DEVNULL)


def weights(run: Path) -> bytes:
    found = checkpoint.newest(run)
    assert found is not None and Run(run).status().state == "finished"
    return (found / checkpoint.WEIGHTS).read_bytes()


def main(text: Path, seed: int = 1) -> int:
    chance, kills, at = random.Random(seed), 0, []
    with tempfile.TemporaryDirectory() as directory:
        data, whole, killed = (Path(directory) / name for name in ("data", "whole", "killed"))
        prepare([text], "char", data)
        began = time.monotonic()
        start(data, whole).wait()
        seconds = time.monotonic() - began
        while kills < KILLS:
            trainer = start(data, killed)
            try:
                trainer.wait(chance.uniform(0.2, seconds))
            except subprocess.TimeoutExpired:
                trainer.kill()
                kills += 1
            trainer.wait()
            at.append(Run(killed).status().step)
            if Run(killed).status().state == "finished":  # begin anew: there are kills left
                assert weights(killed) == weights(whole)
                killed = killed.with_name(f"killed-{kills}")
        start(data, killed).wait()
        same = weights(killed) == weights(whole)
    sys.stdout.write(f"{kills} kills, at steps {at}; the same weights: {same}\n")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
