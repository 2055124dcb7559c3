"""A checkpoint comes back as it was, a damaged or foreign one is refused in words."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from microformer import checkpoint
from microformer.errors import UserError
from microformer.files import sha256
from microformer.model.transformer import Transformer
from microformer.tensor_files import load_tensors, read_header
from tests.conftest import make_config

FILES = (checkpoint.WEIGHTS, checkpoint.STATE)


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(3)
    return Transformer(make_config())


def save_step(run: Path, model: Transformer, step: int, **state: Any) -> Path:
    directory = run / "checkpoints" / f"step-{step}"
    checkpoint.save(directory, model=model, optimizer_state={"moment": torch.ones(2)}, state={"step": step} | state)
    return directory


def test_weights_come_back_bit_for_bit(tmp_path: Path, model: Transformer) -> None:
    directory = save_step(tmp_path, model, 5)
    again = checkpoint.load_weights(model.config, directory / checkpoint.WEIGHTS)
    assert checkpoint.base_hash(again) == checkpoint.base_hash(model)
    assert torch.equal(load_tensors(directory / checkpoint.OPTIMIZER)["moment"], torch.ones(2))


def test_building_a_model_to_load_into_leaves_the_callers_random_numbers_alone(
    tmp_path: Path, model: Transformer
) -> None:
    directory = save_step(tmp_path, model, 5)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    checkpoint.load_weights(model.config, directory / checkpoint.WEIGHTS)
    assert torch.equal(torch.rand(1), expected)


def test_the_best_has_the_lowest_loss_and_the_newest_the_highest_step(tmp_path: Path, model: Transformer) -> None:
    for step, loss in ((9, 2.0), (10, 1.0), (100, 3.0)):
        save_step(tmp_path, model, step, val_loss=loss)
    assert [one.name for one in checkpoint.checkpoints(tmp_path)] == ["step-9", "step-10", "step-100"]
    newest, best = checkpoint.newest(tmp_path), checkpoint.best(tmp_path)
    assert newest is not None and newest.name == "step-100"
    assert best is not None and best.name == "step-10"


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.OPTIMIZER, checkpoint.STATE, checkpoint.MANIFEST])
@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, model: Transformer, name: str, harm: str) -> None:
    save_step(tmp_path, model, 1)
    damaged = save_step(tmp_path, model, 2) / name
    if harm == "cut":
        damaged.write_bytes(damaged.read_bytes()[:-3])
    else:
        damaged.unlink()
    newest = checkpoint.newest(tmp_path)
    assert newest is not None and newest.name == "step-1"


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "[]",
        '{"val_loss": "low"}',
        '{"val_loss": NaN}',
        '{"step": -1}',
        '{"step": 1e300}',
        '{"step": "last"}',
        "9" * 5000,
    ],
)
def test_a_state_that_is_none_is_refused(tmp_path: Path, model: Transformer, text: str) -> None:
    directory = save_step(tmp_path, model, 1)
    (directory / checkpoint.STATE).write_text(text)
    (directory / checkpoint.MANIFEST).write_text(json.dumps({one: sha256(directory / one) for one in FILES}))
    with pytest.raises(UserError, match=r"state\.json"):
        checkpoint.best(tmp_path)


def test_a_directory_that_is_being_written_is_not_a_checkpoint(tmp_path: Path, model: Transformer) -> None:
    directory = save_step(tmp_path, model, 1)
    directory.rename(directory.with_name(".step-1.abc"))
    assert checkpoint.checkpoints(tmp_path) == []
    with pytest.raises(UserError, match="not a run"):
        checkpoint.resolve(tmp_path)


def test_what_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no run at"):
        checkpoint.resolve(tmp_path / "nothing")
    (tmp_path / "config.yaml").write_text("model: {}")
    with pytest.raises(UserError, match="no checkpoint yet"):
        checkpoint.resolve(tmp_path)


def foreign(tmp_path: Path, model: Transformer, change: str) -> Path:
    tensors = checkpoint.weights_of(model)
    path = tmp_path / "model.safetensors"
    if change == "missing":
        del tensors["norm.weight"]
    elif change == "unknown":
        tensors["extra"] = torch.zeros(1)
    elif change == "shape":
        tensors["norm.weight"] = torch.zeros(3)
    elif change == "type":
        tensors["norm.weight"] = torch.zeros(16, dtype=torch.int64)
    elif change == "nan":
        tensors["norm.weight"] = torch.full((16,), float("nan"))
    save_file(tensors, path)
    return path


@pytest.mark.parametrize("change", ["missing", "unknown", "shape", "type", "nan"])
def test_foreign_weights_that_do_not_fit_are_refused(tmp_path: Path, model: Transformer, change: str) -> None:
    with pytest.raises(UserError, match=r"does not fit|not finite"):
        checkpoint.load_weights(model.config, foreign(tmp_path, model, change))


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        json.dumps({"a": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 4]}}).encode(),
        b"not json",
        b"[1]",
        b"[" * 100_000,
    ],
)
def test_a_hostile_header_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0\0\0")
    with pytest.raises(UserError, match=r"not a safetensors|more than"):
        read_header(path)


def test_hashes_tell_the_core_from_the_long_term_memory(model: Transformer) -> None:
    core, long_term = checkpoint.core_hash(model), checkpoint.long_term_hash(model)
    with torch.no_grad():
        next(iter(model.blocks)).long_term.up.add_(1)
    assert checkpoint.core_hash(model) == core
    assert checkpoint.long_term_hash(model) != long_term
