"""Sessions on disk: a directory with ``session.safetensors`` and ``session.json``, or one file to hand to somebody.

The tensors' file carries all of ``session.json`` in its header, so that it is complete by itself (an export is nothing
else) and one rename makes a save whole. ``session.json`` beside it is for people and pages to read.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from microformer.adapters.session import SessionMemory, tensors_of
from microformer.checkpoint import Loaded
from microformer.errors import UserError
from microformer.files import disk_errors, read_json, write_bytes, write_json
from microformer.model.config import ModelConfig
from microformer.teaching.gate import THRESHOLD
from microformer.teaching.session import MAX_FACTS, Fact, Session, checked
from microformer.teaching.teach import check_fits
from microformer.tensor_files import load_tensors, read_header, save_tensors

TENSORS, TEXT = "session.safetensors", "session.json"
FORMAT = 1
MAX_BYTES = 64 * 2**20
MAX_WIDTH = 4096


def save_session(session: Session, directory: str | Path) -> None:
    """Write the session into a directory, which may exist and hold other files as well."""
    directory = Path(directory)
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    export_session(session, directory / TENSORS)
    write_json(directory / TEXT, described(session))


def export_session(session: Session, path: Path) -> None:
    """Write the session as one file."""
    with disk_errors(path), TemporaryDirectory(prefix="session-") as beside:
        whole = Path(beside) / TENSORS
        text = json.dumps(described(session), ensure_ascii=False)
        save_tensors(tensors_of(session.memory), whole, {"session": text})
        data = whole.read_bytes()
    write_bytes(path, data)


def described(session: Session) -> dict[str, Any]:
    """The content of ``session.json``: everything but the tensors."""
    facts = zip(session.facts, session.recited, strict=True)
    passages = zip(session.passages, session.known, strict=True)
    memory = session.memory
    return {
        "format": FORMAT,
        "name": session.name,
        "facts": [{"prompt": fact.prompt, "answer": fact.answer, "recited": said} for fact, said in facts],
        "passages": [{"text": text, "known": known} for text, known in passages],
        "base_hash": session.base_hash,
        "tokenizer_hash": session.tokenizer_hash,
        "gate": {"kind": "lexical", "threshold": THRESHOLD},
        "memory": {
            "layers": list(memory.layers),
            "width": memory.down.shape[-1],
            "opened": list(memory.opened),
        },
    }


def open_session(path: str | Path, loaded: Loaded) -> Session:
    """Read a session from its directory or its one file, for this model.

    Nothing in it is trusted: sizes, names, shapes and values are checked. Raises ``UserError`` when it is not a
    session, or belongs to another model or tokenizer.
    """
    path = Path(path)
    text = read_text_of(path)
    file = path / TENSORS if path.is_dir() else path
    if path.is_dir() and (path / TEXT).is_file():
        beside = read_json(path / TEXT)
        for name in ("base_hash", "tokenizer_hash"):
            if not isinstance(beside, dict) or beside.get(name) != text[name]:
                raise UserError(f"{TEXT} and {TENSORS} in {path} do not belong together; save the session again.")
    facts, passages = text["facts"], text["passages"]
    blank = Session(
        SessionMemory.blank(loaded.model.config, layers=(0,), width=1),
        text["base_hash"],
        text["tokenizer_hash"],
        facts=tuple(checked(Fact(one["prompt"], one["answer"])) for one in facts),
        recited=tuple(one.get("recited") is True for one in facts),
        passages=tuple(one["text"] for one in passages),
        known=tuple(one.get("known") is True for one in passages),
        name=text["name"],
    )
    check_fits(loaded, blank)
    return blank.remembering(_read_memory(file, text["memory"], loaded.model.config))


def read_text_of(path: Path) -> dict[str, Any]:
    """What the header of a session's file says (see ``described``), checked; no tensors are read."""
    file = path / TENSORS if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"There is no session at {path}; give the directory or the file that it was saved to.")
    if file.stat().st_size > MAX_BYTES:
        raise UserError(f"{file.name} is larger than {MAX_BYTES // 2**20} MB, which no session is.")
    try:
        text = json.loads(read_header(file)["__metadata__"]["session"])
        json.dumps(text, ensure_ascii=False).encode()  # fails for half a character, which could not be saved again
        if not _is_session(text):
            raise ValueError
    except (KeyError, TypeError, ValueError, RecursionError):
        raise UserError(
            f"{file.name} is not a session; export one from the Teach tab, or save it with teach."
        ) from None
    return text


def _is_session(text: Any) -> bool:
    """Whether all that is read from a session's text is there, in the right types."""
    return (
        isinstance(text, dict)
        and text["format"] == FORMAT
        and all(isinstance(text[name], str) for name in ("name", "base_hash", "tokenizer_hash"))
        and isinstance(text["facts"], list)
        and len(text["facts"]) <= MAX_FACTS
        and all(isinstance(one["prompt"], str) and isinstance(one["answer"], str) for one in text["facts"])
        and len({Fact(one["prompt"], one["answer"]).key for one in text["facts"]}) == len(text["facts"])
        and isinstance(text["passages"], list)
        and all(isinstance(one["text"], str) for one in text["passages"])
        and isinstance(text["memory"], dict)
    )


def _read_memory(file: Path, text: dict[str, Any], config: ModelConfig) -> SessionMemory:
    layers, width, opened = text.get("layers"), text.get("width"), text.get("opened")
    fits = (
        _ascending(layers, config.n_layers)
        and bool(layers)
        and _ascending(opened, config.vocab_size)
        and type(width) is int
        and 1 <= width <= MAX_WIDTH
    )
    if not fits:
        raise UserError(f"{file.name} describes a memory that does not fit this model; it cannot be used.")
    assert isinstance(layers, list) and isinstance(opened, list) and isinstance(width, int)
    shapes = {"down": (len(layers), config.d_model, width), "up": (len(layers), width, config.d_model)}
    tensors = load_tensors(file, {name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    if any(not bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise UserError(f"{file.name} holds values that are not finite numbers; it cannot be used.")
    return SessionMemory(tuple(layers), tensors["down"], tensors["up"], tuple(opened))


def _ascending(numbers: Any, below: int) -> bool:
    """Whether this is a list of different whole numbers from 0 up to ``below``, in order."""
    return (
        isinstance(numbers, list)
        and all(type(number) is int and 0 <= number < below for number in numbers)
        and numbers == sorted(set(numbers))
    )
