"""Models in memory: loaded once, renewed when their checkpoint is, and put away when others are wanted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from microformer import checkpoint
from microformer.data.prepare import prepare
from microformer.errors import UserError
from microformer.model.transformer import Transformer
from microformer.training.config import RunConfig
from microformer.training.run_directory import Run
from microformer.ui.workspace.engines import Engines
from tests.conftest import make_config


@pytest.fixture
def engines() -> Iterator[Engines]:
    engines = Engines(kept=2)
    yield engines
    engines.close()


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    text = tmp_path / "text.txt"
    text.write_text("The dog went home and ate a red ball. " * 50)
    prepare([text], "char", tmp_path / "data")
    made = []
    for number in range(4):
        made.append(tmp_path / f"run{number}")
        Run(made[-1]).set_up(RunConfig(model=make_config()), tmp_path / "data")
        save(made[-1], 1)
    return made


def save(run: Path, step: int) -> Path:
    torch.manual_seed(step)
    model = Transformer(Run(run).config().model)
    directory = run / "checkpoints" / f"step-{step}"
    checkpoint.save(directory, model=model, optimizer_state=None, state={"step": step})
    return directory


def test_a_run_is_loaded_once_and_anew_when_it_has_a_new_checkpoint(engines: Engines, runs: list[Path]) -> None:
    first = engines.speaker(runs[0])
    assert engines.speaker(runs[0]) is first
    newer = save(runs[0], 2)
    assert engines.speaker(runs[0]).loaded.checkpoint == newer
    assert engines.speaker(runs[0] / "checkpoints" / "step-1") is first


def test_the_longest_unused_is_put_away(engines: Engines, runs: list[Path]) -> None:
    first, *_ = [engines.speaker(run) for run in runs]
    assert [path.parent.parent for path in engines.opened()] == runs[2:]
    with pytest.raises(UserError, match="open it again"):
        first.engine.run(iter(()))  # type: ignore[arg-type]
    assert engines.speaker(runs[0]) is not first


def test_what_cannot_be_opened_is_told_of(engines: Engines, runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError):
        engines.speaker(tmp_path / "nothing")
    weights = runs[0] / "checkpoints" / "step-1" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError):
        engines.speaker(runs[0])
