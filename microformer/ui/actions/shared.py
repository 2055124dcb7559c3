"""Memories that their owners share with the others on this server: to be seen, and loaded beside one's own.

What is loaded is a copy as it is at that moment; nobody but its owner ever changes a shared one.
"""

from typing import TYPE_CHECKING, Any

from microformer.errors import UserError
from microformer.ui.actions import answers, lessons, memories, models
from microformer.ui.actions.memory_shelf import fits
from microformer.ui.workspace import Item, Visitor, Workspace

if TYPE_CHECKING:
    from microformer.checkpoint import Loaded


def share(workspace: Workspace, visitor: Visitor, model: Any, shared: Any, name: Any) -> Item:
    """Let the others load what the visitor taught a model, or no longer; ``name`` is what they will see."""
    own = memories.memories_of(workspace, visitor, models.speaker_of(workspace, visitor, model).loaded).own
    if own.id is None:
        raise UserError("Nothing was taught here yet; teach something before you share it.")
    if shared is True and isinstance(name, str) and name.strip():
        workspace.sessions.rename(own.id, name, visitor)
    return workspace.sessions.share(own.id, shared is True, visitor)


def is_shared(workspace: Workspace, visitor: Visitor, loaded: "Loaded") -> bool:
    """Whether the visitor's own memory of a model is shared."""
    id = memories.memories_of(workspace, visitor, loaded).own.id
    return id is not None and any(one.id == id and one.shared for one in workspace.sessions.list(visitor))


def offered(workspace: Workspace, visitor: Visitor, loaded: "Loaded") -> list[tuple[str, str]]:
    """Name and id of every memory that somebody else shares and that fits this model."""
    others = [item for item in workspace.sessions.list(visitor) if not item.mine]
    return [(item.name, item.id) for item in others if fits(item, loaded)]


def load(workspace: Workspace, visitor: Visitor, model: Any, id: Any, role: Any) -> str:
    """Load a shared memory, as the own or beside it; its name."""
    lessons.put_away_last(workspace, visitor)
    item = workspace.sessions.item(id, visitor)
    loaded = models.speaker_of(workspace, visitor, model).loaded
    name = memories.load(workspace, visitor, loaded, item.path, role, item.name).name
    answers.put_away(workspace, visitor, model)
    return name
