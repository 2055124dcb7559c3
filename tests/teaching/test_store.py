"""Sessions come back as they were saved, and what is not a session of this model is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from microformer.checkpoint import Loaded
from microformer.errors import UserError
from microformer.teaching.session import Session
from microformer.teaching.store import described, export_session, open_session, save_session
from microformer.teaching.verify import recites
from microformer.tensor_files import save_tensors
from tests.teaching.small_models import make_loaded


def same(one: Session, other: Session) -> bool:
    """Equal in every list and every bit."""
    tensors = torch.equal(one.memory.up, other.memory.up) and torch.equal(one.memory.down, other.memory.down)
    return tensors and described(one) == described(other)


def test_a_saved_session_comes_back_bit_for_bit(tmp_path: Path, loaded: Loaded, taught: Session) -> None:
    save_session(taught, tmp_path / "session")
    back = open_session(tmp_path / "session", loaded)
    assert same(back, taught)
    assert recites(loaded, back) == [True, True, True]


def test_places_may_be_plain_text(tmp_path: Path, loaded: Loaded, taught: Session) -> None:
    save_session(taught, str(tmp_path / "session"))
    assert open_session(str(tmp_path / "session"), loaded).facts == taught.facts


def test_one_file_is_enough(tmp_path: Path, loaded: Loaded, taught: Session) -> None:
    named = replace(taught, name="Zoë's", passages=("A text.",), known=(True,))
    export_session(named, tmp_path / "mine.safetensors")
    assert same(open_session(tmp_path / "mine.safetensors", loaded), named)


def test_a_blank_session_can_be_saved(tmp_path: Path, loaded: Loaded) -> None:
    save_session(Session.blank(loaded), tmp_path)
    assert open_session(tmp_path, loaded).is_blank


def test_saving_again_keeps_other_files(tmp_path: Path, loaded: Loaded, taught: Session) -> None:
    (tmp_path / "item.json").write_text("{}")
    save_session(Session.blank(loaded), tmp_path)
    save_session(taught, tmp_path)
    assert same(open_session(tmp_path, loaded), taught)
    assert (tmp_path / "item.json").is_file()


def test_another_model_is_refused(tmp_path: Path, taught: Session) -> None:
    save_session(taught, tmp_path)
    with pytest.raises(UserError, match="taught on another model"):
        open_session(tmp_path, make_loaded(seed=2))


def test_another_tokenizer_is_refused(tmp_path: Path, loaded: Loaded, taught: Session) -> None:
    save_session(replace(taught, tokenizer_hash="0" * 64), tmp_path)
    with pytest.raises(UserError, match="another tokenizer"):
        open_session(tmp_path, loaded)


def test_what_is_not_there_is_said(tmp_path: Path, loaded: Loaded) -> None:
    with pytest.raises(UserError, match="There is no session at"):
        open_session(tmp_path / "nowhere", loaded)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, loaded: Loaded, taught: Session) -> None:
    save_session(taught, tmp_path)
    (tmp_path / "session.json").write_text(json.dumps({**described(taught), "base_hash": "0" * 64}))
    with pytest.raises(UserError, match="do not belong together"):
        open_session(tmp_path, loaded)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"facts": [{"prompt": "a"}]},
        {"facts": [{"prompt": "a", "answer": "b"}, {"prompt": "A", "answer": "c"}]},
        {"facts": "all"},
        {"passages": [7]},
        {"passages": [{"text": "a\ud800", "known": True}]},
        {"name": None},
        {"base_hash": 7},
        {"memory": []},
    ],
)
def test_a_text_that_describes_no_session_is_refused(
    tmp_path: Path, loaded: Loaded, taught: Session, change: dict[str, Any]
) -> None:
    path = tmp_path / "odd.safetensors"
    write_odd(path, taught, {**described(taught), **change})
    with pytest.raises(UserError, match="is not a session"):
        open_session(path, loaded)


@pytest.mark.parametrize(
    "change",
    [
        {"layers": [0, 7]},
        {"layers": [2, 1]},
        {"layers": []},
        {"layers": [True]},
        {"opened": [-1]},
        {"width": 10**9},
        {"width": "many"},
    ],
)
def test_a_memory_that_does_not_fit_is_refused(
    tmp_path: Path, loaded: Loaded, taught: Session, change: dict[str, Any]
) -> None:
    path, text = tmp_path / "odd.safetensors", described(taught)
    write_odd(path, taught, {**text, "memory": {**text["memory"], **change}})
    with pytest.raises(UserError, match="does not fit this model"):
        open_session(path, loaded)


def test_values_that_are_no_numbers_are_refused(tmp_path: Path, loaded: Loaded, taught: Session) -> None:
    path, up = tmp_path / "odd.safetensors", taught.memory.up.clone()
    up[0, 0, 0] = float("nan")
    export_session(replace(taught, memory=replace(taught.memory, up=up)), path)
    with pytest.raises(UserError, match="not finite"):
        open_session(path, loaded)


def test_bytes_that_are_no_tensors_are_refused(tmp_path: Path, loaded: Loaded) -> None:
    (tmp_path / "odd.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(UserError, match="not a safetensors file"):
        open_session(tmp_path / "odd.safetensors", loaded)


def write_odd(path: Path, session: Session, text: dict[str, Any]) -> None:
    """A session's file with another text in its header."""
    tensors = {"down": session.memory.down, "up": session.memory.up}
    save_tensors(tensors, path, {"session": json.dumps(text)})
