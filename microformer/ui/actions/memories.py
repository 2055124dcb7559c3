"""What a browser has taught each model: its own memory and others' beside it, on disk, and in memory while in use.

A memory belongs to one browser and to one model (by the hash of its weights), so a run that trained on starts empty.
Everything here is kept on the shelf of sessions; what is in memory can be dropped at any time.
"""

import logging
import secrets
import shutil
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microformer.errors import UserError
from microformer.ui.actions.memory_shelf import BESIDE, OWN, Kept, base_of, fits, open_kept, put, role_of, save
from microformer.ui.actions.packing import file_name
from microformer.ui.workspace import Visitor, Workspace

if TYPE_CHECKING:
    from microformer.checkpoint import Loaded
    from microformer.teaching.session import Session

log = logging.getLogger(__name__)

MOST_BESIDE = 5
NAME, EXPORTED = "What I taught", "saved memory"


@dataclass
class Memories:
    """What one browser taught one model. ``own`` grows with each lesson, ``beside`` are sessions that were loaded.

    ``fingerprints`` are the hashes of core and long-term adapters from before the first lesson and from after the last;
    ``thrown_away`` is the token that brings back what a reset or a load put away.
    """

    own: Kept
    beside: list[Kept]
    fingerprints: tuple[tuple[str, str], tuple[str, str]]
    thrown_away: str | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def sessions(self) -> list["Session"]:
        """All that take part in an answer, the own first."""
        return [self.own.session, *(kept.session for kept in self.beside)]

    @property
    def empty(self) -> bool:
        return not any(session.facts or session.passages for session in self.sessions)


def memories_of(workspace: Workspace, visitor: Visitor, loaded: "Loaded") -> Memories:
    """The visitor's memories of a model, read from disk on first use."""
    return workspace.registry.keep(visitor, _kept_as(loaded), lambda: _read(workspace, visitor, loaded))


def fingerprints_of(loaded: "Loaded") -> tuple[str, str]:
    """SHA-256 of the core and of the long-term adapters as they are now."""
    from microformer.checkpoint import core_hash, long_term_hash

    return core_hash(loaded.model), long_term_hash(loaded.model)


def keep(workspace: Workspace, visitor: Visitor, loaded: "Loaded", memories: Memories, session: "Session") -> None:
    """Make ``session`` the browser's own and write it to disk.

    Does nothing when the browser was forgotten in the meantime: then nobody could ever remove it again.
    """
    with memories.lock:
        if workspace.registry.get(visitor, _kept_as(loaded)) is not memories:
            return
        own = memories.own
        if own.id is None or not (workspace.sessions.root / own.id).is_dir():  # new, or expired in the meantime
            own = put(workspace, visitor, session, NAME, OWN)
        else:
            own = replace(own, session=session)
            save(workspace.sessions.get(own.id, visitor, write=True), session, OWN)
        memories.own = own


def reset(workspace: Workspace, visitor: Visitor, loaded: "Loaded") -> int:
    """Put away all that was taught; from now on the model answers as its base. Returns how many facts went."""
    from microformer.teaching.session import Session

    memories = memories_of(workspace, visitor, loaded)
    with memories.lock:
        own = memories.own
        if own.id is None:
            raise UserError("Nothing was taught here yet, so there is nothing to reset.")
        memories.thrown_away = workspace.sessions.delete(own.id, visitor)
        memories.own = Kept(None, NAME, Session.blank(loaded))
        return len(own.session.facts)


def undo(workspace: Workspace, visitor: Visitor, loaded: "Loaded") -> int:
    """Bring back what was put away last; what was taught since is put away instead. Returns how many facts are back."""
    memories = memories_of(workspace, visitor, loaded)
    with memories.lock:
        if memories.thrown_away is None:
            raise UserError("Nothing was put away that could be brought back.")
        item = workspace.sessions.undo(memories.thrown_away, visitor)
        memories.thrown_away = None
        if memories.own.id is not None:
            memories.thrown_away = workspace.sessions.delete(memories.own.id, visitor)
        memories.own = open_kept(item, loaded)
        return len(memories.own.session.facts)


def export(workspace: Workspace, visitor: Visitor, loaded: "Loaded", name: Any) -> Path:
    """The browser's own memory as one file to download; ``name`` is written into it."""
    from microformer.teaching.store import export_session
    from microformer.ui.workspace.shelf import clean_name

    own = memories_of(workspace, visitor, loaded).own
    if not own.session.facts and not own.session.passages:
        raise UserError("Nothing was taught here yet; teach something before you save it.")
    place = workspace.uploads() / secrets.token_hex(16)
    place.mkdir()
    shutil.rmtree(workspace.registry.get(visitor, EXPORTED, place / "none yet"), ignore_errors=True)
    workspace.registry.put(visitor, EXPORTED, place)
    called = clean_name(name, NAME)
    path = place / f"{file_name(called)}.safetensors"
    export_session(replace(own.session, name=called), path)
    return path


def load(
    workspace: Workspace, visitor: Visitor, loaded: "Loaded", uploaded: Any, role: Any, name: str | None = None
) -> Kept:
    """Read a memory from a file, as the browser's own (the old one can be brought back) or beside it.

    It keeps the name it was saved under unless ``name`` is given.
    """
    from microformer.teaching.store import open_session

    if not uploaded:
        raise UserError("There is no file yet; choose one that was saved on this tab.")
    session = open_session(Path(str(uploaded)), loaded)
    name = name or session.name
    memories = memories_of(workspace, visitor, loaded)
    with memories.lock:
        if role == BESIDE:
            if len(memories.beside) >= MOST_BESIDE:
                raise UserError(f"{MOST_BESIDE} memories are loaded beside yours, which is the most; remove one first.")
            kept = put(workspace, visitor, session, name or "Somebody's memory", BESIDE)
            memories.beside.append(kept)
            return kept
        old = memories.own.id
        workspace.sessions.check_room(visitor)
        if old is not None:
            memories.thrown_away = workspace.sessions.delete(old, visitor)
        memories.own = put(workspace, visitor, session, name or NAME, OWN)
        return memories.own


def unload(workspace: Workspace, visitor: Visitor, loaded: "Loaded", id: Any) -> str:
    """Take a memory that was loaded beside the own away again; its name."""
    memories = memories_of(workspace, visitor, loaded)
    with memories.lock:
        kept = next((one for one in memories.beside if one.id == id), None)
        if kept is None:
            raise UserError("This memory is not loaded (any more); choose another one from the list.")
        workspace.sessions.delete(kept.id, visitor)
        memories.beside.remove(kept)
        return kept.name


def _kept_as(loaded: "Loaded") -> str:
    return f"memories of {base_of(loaded)}"


def _read(workspace: Workspace, visitor: Visitor, loaded: "Loaded") -> Memories:
    """The sessions on the visitor's shelf that fit this model. The newest of the own ones counts."""
    from microformer.teaching.session import Session

    own: Kept | None = None
    beside: list[Kept] = []
    for item in workspace.sessions.list(visitor):
        if not item.mine or not fits(item, loaded):
            continue
        try:
            kept = open_kept(item, loaded)
        except UserError:
            log.exception("a session could not be read and is left out")
            continue
        if role_of(item.path) == BESIDE:
            beside.insert(0, kept)
        elif own is None:
            own = kept
    own = own or Kept(None, NAME, Session.blank(loaded))
    prints = fingerprints_of(loaded)
    return Memories(own, beside[-MOST_BESIDE:], (prints, prints))
