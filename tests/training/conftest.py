"""A small prepared text and a configuration that trains on it in a second."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microformer.data.prepare import prepare
from microformer.model.config import ModelConfig
from microformer.training.config import RunConfig, TrainConfig

WORDS = ("the", "a", "red", "old", "ball", "hat", "dog", "king", "sees", "takes", "gives", "runs", "and", "to", "in")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with about 12,000 characters of made-up sentences."""
    chance = random.Random(7)
    text = "".join(" ".join(chance.choices(WORDS, k=chance.randint(3, 8))) + ".\n" for _ in range(400))
    directory = tmp_path_factory.mktemp("text")
    (directory / "words.txt").write_text(text)
    prepare([directory / "words.txt"], "char", directory / "dataset")
    return directory / "dataset"


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset of each kind: sums of numbers of different lengths."""
    place, chance = tmp_path_factory.mktemp("rows"), random.Random(3)
    numbers = [[chance.randrange(10 ** chance.randint(1, 6)) for _ in range(2)] for _ in range(200)]
    rows = {
        "labelled": [{"text": f"{a}+{b}", "label": "odd" if (a + b) % 2 else "even"} for a, b in numbers],
        "valued": [{"text": f"{a}+{b}", "value": len(str(a + b))} for a, b in numbers],
        "paired": [{"source": f"{a}+{b}", "target": str(a + b)} for a, b in numbers],
    }
    for kind, some in rows.items():
        (place / f"{kind}.jsonl").write_text("\n".join(json.dumps(row) for row in some))
        prepare([place / f"{kind}.jsonl"], "char", place / kind)
    return place


@pytest.fixture
def make_run_config() -> Callable[..., RunConfig]:
    return run_config


def run_config(**changes: Any) -> RunConfig:
    """Two layers, sixteen wide, a few steps; ``dropout`` goes to the model, all else to the training."""
    model = ModelConfig(
        d_model=16,
        n_layers=2,
        n_heads=2,
        max_seq_len=16,
        adapter_dim=4,
        ngram_rows=20,
        dropout=changes.pop("dropout", 0.0),
    )
    plain: dict[str, Any] = {
        "max_steps": 12,
        "batch_size": 4,
        "optimizer": "muon",
        "warmup_steps": 2,
        "eval_every": 6,
        "checkpoint_every": 5,
        "precision": "fp32",
        "device": "cpu",
    }
    return RunConfig(model, TrainConfig(**plain | changes), about="for tests")
