"""A small text and runs on it, in the queue or as if a trainer had worked on them."""

from dataclasses import asdict
from typing import Any

from microformer.data.prepare import prepare
from microformer.presets import load_preset
from microformer.training.run_directory import Run
from microformer.ui.actions import train
from microformer.ui.workspace import Visitor, Workspace

TEXT = "The red ball is in the garden. Ann looks for it, and finds it under the old tree.\n" * 60
TINY = {"d_model": 16, "n_layers": 2, "n_heads": 4, "max_seq_len": 32, "adapter_dim": 4}


def dataset(workspace: Workspace, visitor: Visitor) -> str:
    source = workspace.home / "text.txt"
    source.write_text(TEXT)
    id, path = workspace.datasets.create(visitor, "A text")
    prepare(source, "char", path)
    return id


def settings(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The forms' values for a tiny model and ten steps, with some changed."""
    preset = load_preset("tiny")
    model = asdict(preset.model) | TINY
    training = asdict(preset.training) | {"max_steps": 10, "batch_size": 2, "precision": "fp32"}
    del model["vocab_size"]
    for name, value in changes.items():
        (model if name in model else training)[name] = value
    return model, training


def started(workspace: Workspace, visitor: Visitor, data: str, name: str = "") -> str:
    return train.start(workspace, visitor, data, "tiny", name, *settings())


def trained(workspace: Workspace, visitor: Visitor, id: str, steps: int) -> Run:
    """Write what a trainer would have written by step ``steps``, an evaluation at every fifth."""
    run = Run(workspace.runs.get(id, visitor))
    for step in range(1, steps + 1):
        row = {"step": step, "tokens": 64 * step, "seconds": 0.5 * step, "loss": 4.0 - 0.1 * step, "lr": 0.001}
        row |= {"grad_norm": 1.0, "tokens_per_second": 128.0}
        if step % 5 == 0:
            row |= {"val_loss": 4.1 - 0.1 * step, "bits_per_byte": 4.0}
            run.append_sample({"step": step, "prompt": "The", "text": f" ball {step}"})
        run.append_metrics(row)
    run.write_status("stopped", steps, "Stopped.")
    return run
