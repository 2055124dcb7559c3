"""Which of the five steps across the top a visitor has done."""

from typing import Any

from microformer.ui.actions.models import can_write
from microformer.ui.workspace import Visitor, Workspace


def steps_done(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, bool]:
    """By the id of each tab, whether it has been done. ``request`` carries nothing."""
    marks = workspace.registry.get(visitor, "done", frozenset())
    trained = any(can_write(run) for run in workspace.runs.list(visitor) if run.mine)
    return {
        "data": any(dataset.mine for dataset in workspace.datasets.list(visitor)),
        "train": trained,
        "sample": "sample" in marks,
        "teach": any(item.mine for item in workspace.sessions.list(visitor)) or "teach" in marks,
        "hub": "hub" in marks,
    }
