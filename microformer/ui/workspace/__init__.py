"""Everything the page stands on: what is on disk, who owns it, and which models are in memory."""

from microformer.ui.workspace.limits import Limits
from microformer.ui.workspace.shelf import Item, Shelf
from microformer.ui.workspace.visitors import OWNER, Registry, Visitor, is_secret, new_secret
from microformer.ui.workspace.workspace import STARTER_ID, Workspace

__all__ = [
    "OWNER",
    "STARTER_ID",
    "Item",
    "Limits",
    "Registry",
    "Shelf",
    "Visitor",
    "Workspace",
    "is_secret",
    "new_secret",
]
