"""A small run to share, and a Hub on this machine to share it on."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from microformer import checkpoint
from microformer.data.tokenizers import build_tokenizer
from microformer.files import write_text
from microformer.model.transformer import Transformer
from microformer.training.config import RunConfig, TrainConfig
from microformer.training.run_directory import Run
from tests.conftest import make_config
from tests.hub.hub_server import HubServer


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with one checkpoint of step 20 and the metrics that led there."""
    return make_run(tmp_path / "run")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub that this process may talk to. The real client's own settings; nothing of it is replaced."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with HubServer() as server:
        yield server


def make_run(directory: Path) -> Path:
    """Write a run as the trainer would, with random weights."""
    tokenizer = build_tokenizer("char", ["Once upon a time there was a Łódź."])
    config = make_config(vocab_size=tokenizer.vocab_size)
    torch.manual_seed(5)
    state = {"step": 20, "val_loss": 2.5}
    directory.mkdir()
    checkpoint.save(directory / "checkpoints" / "step-20", model=Transformer(config), optimizer_state=None, state=state)
    tokenizer.save(directory / "tokenizer.json")
    run = Run(directory)
    run.write_config(RunConfig(model=config, training=TrainConfig(max_steps=20), about="A test."))
    rows = [{"step": step, "tokens": 64 * step, "loss": 4 - step / 20} for step in range(1, 21)]
    rows[-1] |= {"val_loss": 2.5, "bits_per_byte": 3.6}
    write_text(directory / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return directory
