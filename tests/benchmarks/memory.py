"""How much memory training takes beside what ``profile`` says: ``memory.py PRESET DATA [--training.NAME VALUE …]``.

Prints the peak of this process above what it held before the model was built, and the losses of the steps.
"""

import json
import sys
import tempfile
from pathlib import Path

import psutil
import torch

from microformer.bench.train import peak_rss_mb
from microformer.data.datasets import Dataset
from microformer.presets import load_preset, with_changes
from microformer.training.estimate import training_memory
from microformer.training.loop import take_step
from microformer.training.run_directory import Run
from microformer.training.setup import set_up

STEPS = 2


def main(preset: str, data: str, *changes: str) -> None:
    pairs = zip(changes[::2], changes[1::2], strict=True)
    parts: dict[str, dict[str, str]] = {"model": {}, "training": {}}
    for flag, value in pairs:
        part, _, name = flag.removeprefix("--").partition(".")
        parts[part][name] = value
    config = with_changes(load_preset(preset), parts)
    dataset = Dataset.open(Path(data))
    with tempfile.TemporaryDirectory() as place:
        before = psutil.Process().memory_info().rss
        job = set_up(config, dataset, Run(Path(place) / "run"), resume=False, init=None, report=print)
        job.model.train()
        losses = []
        for _ in range(STEPS):
            losses.append(float(take_step(job, 1.0)[0]))
            job.progress.advance(job.tokens_per_step, 0.0)
        found = {
            "measured_mb": round(peak_rss_mb() - before / 2**20),
            "profile_mb": round(training_memory(job.config, torch.device("cpu")) / 2**20),
            "losses": losses,
            "threads": torch.get_num_threads(),
        }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
