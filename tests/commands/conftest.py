"""A small dataset and a run trained on it, made once by the commands themselves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microformer.cli import main

TEXT = "Once upon a time Mia put the red ball in the kitchen. Then Tom took the ball to the garden. " * 40
TINY = """\
about: Too small for anything but tests.
model: {d_model: 16, n_layers: 2, n_heads: 4, max_seq_len: 32, adapter_dim: 4}
training: {max_steps: 6, batch_size: 4, eval_every: 3, precision: fp32, learning_rate: 1e-2, warmup_steps: 1}
"""


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``text.txt``, ``tiny.yaml``, the dataset ``data`` and the run ``run``."""
    place = tmp_path_factory.mktemp("commands")
    (place / "text.txt").write_text(TEXT)
    (place / "tiny.yaml").write_text(TINY)
    (place / "digits.jsonl").write_text("9" * 5000)
    source = ["--source", str(place / "text.txt")]
    assert main(["prepare", *source, "--tokenizer", "char", "--out", str(place / "data")]) == 0
    where = ["--config", str(place / "tiny.yaml"), "--data", str(place / "data"), "--out", str(place / "run")]
    assert main(["train", *where]) == 0
    return place


class Ended:
    """How a command ended: its exit status, and what it wrote."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Ended]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process: ``command("sample", run, "--greedy")``."""

    def run(*words: object) -> Ended:
        capsys.readouterr()
        status = main([str(word) for word in words])
        return Ended(status, *capsys.readouterr())

    return run
