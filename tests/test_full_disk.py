"""A disk that is really full: a few hundred kilobytes of memory, mounted as one. Nothing that was there is lost."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from microformer import checkpoint
from microformer.cli import main
from microformer.errors import UserError
from microformer.teaching.session import Session
from microformer.teaching.store import save_session
from microformer.training import resolve
from microformer.training.run_directory import Run
from microformer.ui.actions import preparing
from microformer.ui.actions.text_choice import TextChoice
from microformer.ui.workspace import Workspace, new_secret
from tests.teaching.small_models import make_loaded

TEXT = "Once upon a time Mia put the red ball in the kitchen. Then Tom took the ball to the garden. " * 40
TINY = """\
model: {d_model: 16, n_layers: 2, n_heads: 4, max_seq_len: 32, adapter_dim: 4}
training: {max_steps: 6, batch_size: 4, eval_every: 3, checkpoint_every: 2, precision: fp32, warmup_steps: 1}
"""

Disk = Callable[[str], Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """``disk("500k")`` is a folder on a disk of its own with so much room."""
    mounted: list[Path] = []

    def make(size: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("a small disk can only be mounted by the administrator of a Linux machine")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A folder, on a disk with room, with a text, its dataset and a configuration."""
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "tiny.yaml").write_text(TINY)
    source = ["--source", str(tmp_path / "text.txt"), "--tokenizer", "char", "--out", str(tmp_path / "data")]
    assert main(["prepare", *source]) == 0
    return tmp_path


def fill(place: Path, leave: int = 0) -> Path:
    """Fill a disk up to ``leave`` bytes; the file that does it."""
    ballast = place / "ballast"
    with ballast.open("wb") as file:
        file.truncate(0)
        file.write(bytes(max(0, shutil.disk_usage(place).free - leave)))
    return ballast


def test_a_dataset_that_does_not_fit_leaves_nothing(disk: Disk, capsys: pytest.CaptureFixture[str]) -> None:
    place = disk("1m")
    assert main(["prepare", "--source", "tales", "--size", "3MB", "--tokenizer", "byte", "--out", f"{place}/d"]) == 2
    assert "The disk is full" in capsys.readouterr().err
    assert list(place.iterdir()) == []


def test_a_run_on_a_full_disk_is_refused_before_it_starts(
    disk: Disk, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = disk("1m")
    assert train(text, place / "run") == 2
    assert "The disk has 1 MB free, but this run needs" in capsys.readouterr().err
    assert not Run(place / "run").exists()


def test_a_disk_that_fills_up_under_a_run_costs_only_the_last_steps(
    disk: Disk, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resolve, "FREE_BYTES", 0)
    place = disk("8m")
    assert train(text, place / "run", "--training.max_steps", "2") == 0
    monkeypatch.setattr(resolve, "free_bytes", lambda path: 10**9)  # there was room when it began
    ballast = fill(place, leave=60_000)
    capsys.readouterr()
    assert train(text, place / "run", "--resume", "--training.max_steps", "6") == 2
    assert "The disk is full" in capsys.readouterr().err
    run = Run(place / "run")
    assert (run.status().state, "The disk is full" in run.status().message) == ("failed", True)
    assert checkpoint.newest(run.path) is not None
    ballast.unlink()
    assert train(text, place / "run", "--resume", "--training.max_steps", "6") == 0
    assert run.status().state == "finished"
    assert [row["step"] for row in run.metrics(0)[0] if row["val_loss"] is not None] == [2, 3, 6]


def test_a_session_that_cannot_be_saved_stays_as_it_was(disk: Disk) -> None:
    place, session = disk("1m"), Session.blank(make_loaded())
    save_session(session, place / "session")
    before = {path.name: path.read_bytes() for path in (place / "session").iterdir()}
    fill(place)
    with pytest.raises(UserError, match="The disk is full"):
        save_session(replace(session, name="Another"), place / "session")
    assert {path.name: path.read_bytes() for path in (place / "session").iterdir()} == before


def test_the_page_says_that_there_is_no_room(disk: Disk) -> None:
    workspace = Workspace(disk("3m"))
    visitor = workspace.visitor(new_secret())
    with pytest.raises(UserError, match="MB are free on the disk"):
        preparing.begin(workspace, visitor, TextChoice())
    assert workspace.datasets.list(visitor) == []


def train(text: Path, run: Path, *more: str) -> int:
    return main(["train", "--config", str(text / "tiny.yaml"), "--data", str(text / "data"), "--out", str(run), *more])
