"""Sessions as they lie on the shelf: which model one was taught on, and whether it is the browser's own."""

import logging
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from microformer import files
from microformer.errors import UserError
from microformer.ui.workspace import Item, Visitor, Workspace

if TYPE_CHECKING:
    from microformer.checkpoint import Loaded
    from microformer.model.transformer import Transformer
    from microformer.teaching.session import Session

log = logging.getLogger(__name__)

OWN, BESIDE = "own", "beside"
NOTES = "page.json"
"""Beside the session's own files: whether it is the browser's own or was loaded beside it."""
_BASES: "weakref.WeakKeyDictionary[Transformer, str]" = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Kept:
    """A session under the name and identifier it has on the shelf; ``id`` is ``None`` until something was taught."""

    id: str | None
    name: str
    session: "Session"


def fits(item: Item, loaded: "Loaded") -> bool:
    """Whether a session on the shelf was taught on this model."""
    from microformer.teaching.store import read_text_of

    try:
        return bool(read_text_of(item.path)["base_hash"] == base_of(loaded))
    except UserError:
        log.exception("a session could not be read and is left out")
        return False


def base_of(loaded: "Loaded") -> str:
    """The hash of a model's weights, computed once."""
    from microformer.checkpoint import base_hash

    if loaded.model not in _BASES:
        _BASES[loaded.model] = base_hash(loaded.model)
    return _BASES[loaded.model]


def open_kept(item: Item, loaded: "Loaded") -> Kept:
    """A session from the shelf, which expires the later for it. Raises ``UserError`` where it cannot be read."""
    from microformer.teaching.store import open_session

    session = open_session(item.path, loaded)
    os.utime(item.path)  # in use, so it does not expire
    return Kept(item.id, item.name, session)


def put(workspace: Workspace, visitor: Visitor, session: "Session", name: str, role: str) -> Kept:
    """Write a session to a new place on the shelf."""
    id, path = workspace.sessions.create(visitor, name)
    save(path, session, role)
    return Kept(id, workspace.sessions.item(id, visitor).name, session)


def save(path: Path, session: "Session", role: str) -> None:
    """Write a session to its place; ``role`` is ``OWN`` or ``BESIDE``."""
    from microformer.teaching.store import save_session

    save_session(session, path)
    files.write_json(path / NOTES, {"role": role})


def role_of(path: Path) -> str:
    """Whether a session is the browser's own or was loaded beside it."""
    try:
        notes = files.read_json(path / NOTES, 10_000)
    except UserError:
        return OWN  # saved by the command line, or by a version that knew one role only
    return BESIDE if isinstance(notes, dict) and notes.get("role") == BESIDE else OWN
