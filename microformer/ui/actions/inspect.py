"""What the Inspect tab does: let a model read a text and look inside; what it is made of, and how its layers learnt."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from microformer.errors import UserError
from microformer.model.profile import Profile, profile
from microformer.training.run_directory import Run
from microformer.ui.actions import models
from microformer.ui.workspace import STARTER_ID, Visitor, Workspace

if TYPE_CHECKING:
    from microformer.checkpoint import Loaded
    from microformer.inspection import Reading

KEPT_AS = "inspected"
MOST_TEXT = 20_000
GRADIENTS = "grad_norm_by_layer"
POINTS_MOST = 400
CANDIDATES = 3


def look_inside(workspace: Workspace, visitor: Visitor, model: Any, text: Any) -> "Reading":
    """Let the model read the text, between the texts that others have it write. Raises ``UserError``."""
    if not isinstance(text, str) or len(text) > MOST_TEXT:
        raise UserError(f"The text may have {MOST_TEXT:,} characters at most; shorten it.")
    speaker = models.speaker_of(workspace, visitor, model)
    reading = speaker.engine.run(_read(speaker.loaded, text), owner=visitor.browser).result()
    workspace.registry.put(visitor, KEPT_AS, reading)
    return reading


def looked_at(workspace: Workspace, visitor: Visitor) -> "Reading | None":
    """What the visitor let a model read last."""
    found: Reading | None = workspace.registry.get(visitor, KEPT_AS)
    return found


def costs(workspace: Workspace, visitor: Visitor, model: Any) -> Profile:
    """What a model is made of, and what a token costs."""
    return profile(models.speaker_of(workspace, visitor, model).loaded.model.config)


def gradients(workspace: Workspace, visitor: Visitor, model: Any) -> tuple[list[int], list[list[float]]]:
    """Steps, and at each the norm of the gradient of every layer, as far as the run has written them down."""
    if model == STARTER_ID:
        return [], []
    rows = [row for row in Run(workspace.runs.get(model, visitor)).metrics()[0] if row.get(GRADIENTS)]
    rows = rows[:: -(-len(rows) // POINTS_MOST) or 1]
    return [int(row["step"]) for row in rows], [[float(norm) for norm in row[GRADIENTS]] for row in rows]


def _read(loaded: "Loaded", text: str) -> "Generator[float, None, Reading]":
    from microformer.inspection import read

    yield 0.0
    return read(loaded, text, candidates=CANDIDATES)
