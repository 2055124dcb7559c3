"""Really train badly, once for each rule of the coach, and well; what the runs wrote is kept here, one file each.

    python -m tests.training.recorded.record [NAME ...]

Three minutes on one core. A file holds the settings that differ from a small model's, what the coach is told of the
run, and its curves as rows of step, loss and validation loss.
"""

import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from microformer.data.info import DatasetInfo
from microformer.data.prepare import prepare
from microformer.data.tales.teller import corpus
from microformer.model.profile import parameters_by_part
from microformer.training.config import RunConfig
from microformer.training.loop import train
from microformer.training.run_directory import Run

HERE = Path(__file__).parent
MODEL = {"d_model": 48, "n_layers": 2, "n_heads": 2, "max_seq_len": 64, "adapter_dim": 0}
TRAINING = {"max_steps": 600, "batch_size": 16, "eval_every": 50, "precision": "fp32", "learning_rate": 0.003}
# Of each run: characters of Tiny Tales (below 0: of letters without any sense), and what is set otherwise.
RUNS: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    "healthy": (1_000_000, {}, {"max_steps": 1000}),
    "healthy with muon": (1_000_000, {}, {"optimizer": "muon", "schedule": "linear"}),
    "healthy and short": (1_000_000, {"d_model": 64}, {"max_steps": 300, "eval_every": 25, "schedule": "wsd"}),
    "diverged": (1_000_000, {}, {"learning_rate": 10.0, "weight_decay": 10.0, "grad_clip": 0.0, "warmup_steps": 150}),
    "rate too high": (1_000_000, {}, {"learning_rate": 1.0, "schedule": "constant", "warmup_steps": 150}),
    "rate too low": (1_000_000, {}, {"learning_rate": 1e-5, "schedule": "constant"}),
    "overfitting": (1_000_000, {}, {"max_steps": 1000}),
    "text too small": (20_000, {"d_model": 96}, {"max_steps": 900, "optimizer": "muon", "schedule": "constant"}),
    "plateau": (-200_000, {"d_model": 16, "n_layers": 1}, {"schedule": "constant"}),
    "context too long": (1_000_000, {"max_seq_len": 2048}, {"max_steps": 40, "batch_size": 2, "eval_every": 20}),
}
# The more it learns of tales, the worse it does on other English.
VALIDATED_ON = {"overfitting": HERE.parents[2] / "README.md"}


def record(name: str, directory: Path) -> dict[str, Any]:
    """Train the run of this name; what is kept of it."""
    characters, model, training = RUNS[name]
    text, data, run = (directory / part for part in ("text.jsonl", "data", "run"))
    text.write_text("".join(json.dumps({"text": one}) + "\n" for one in documents(characters)))
    prepare([text], "char", data, val=VALIDATED_ON.get(name))
    config = RunConfig.from_dict({"model": MODEL | model, "training": TRAINING | training})
    train(config, data, run)
    made, info = Run(run), DatasetInfo.read(data)
    rows = [[row["step"], row["loss"], row["val_loss"]] for row in made.metrics()[0]]
    steps = config.training.max_steps or 1
    stride = -(-len(rows) // 120)
    kept = [row for number, row in enumerate(rows) if row[2] is not None or number % stride == 0]
    return {
        "model": model,
        "training": training,
        "state": made.status().state,
        "done": rows[-1][0] / steps,
        "train_tokens": info.train_tokens,
        "documents": info.documents,
        "context": made.config().model.max_seq_len,
        "parameters": sum(parameters_by_part(made.config().model).values()),
        "rows": [[step, round(loss, 4), found and round(found, 4)] for step, loss, found in kept],
    }


def documents(characters: int) -> list[str]:
    """So much of Tiny Tales, or of letters without any sense."""
    if characters > 0:
        return list(corpus(characters, 7))
    chance = random.Random(1)
    return ["".join(chance.choices("abcdefgh ", k=500)) for _ in range(-characters // 500)]


def main(names: list[str]) -> None:
    for name in names or list(RUNS):
        with tempfile.TemporaryDirectory() as directory:
            found = record(name, Path(directory))
        head = json.dumps({key: value for key, value in found.items() if key != "rows"})
        rows = ",\n".join(json.dumps(row) for row in found["rows"])
        (HERE / f"{name}.json").write_text(f'{head[:-1]}, "rows": [\n{rows}\n]}}\n')


if __name__ == "__main__":
    main(sys.argv[1:])
