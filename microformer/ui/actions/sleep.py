"""Moving what was taught into a run's own long-term memory, and the way back: the page's side of consolidation.

Only a run of the visitor's own can be changed so. The memory it was moved from stays on the shelf of sessions, where
it fits the model as it was: it is out of sight until an undo brings that model back.
"""

import secrets
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microformer.errors import UserError
from microformer.files import disk_errors
from microformer.training.run_directory import Run
from microformer.ui.actions import lesson_progress, lessons, memories, models, proofs
from microformer.ui.actions.lessons import MOVE, Lesson, Steps
from microformer.ui.actions.memory_shelf import OWN
from microformer.ui.workspace import STARTER_ID, Visitor, Workspace

if TYPE_CHECKING:
    from torch import Tensor

    from microformer.checkpoint import Loaded

WINDOWS = 48
COPY_NAME = "My starter"
STARTER = (
    "The starter is everybody's and stays as it is. Make a copy that is your own; it knows what you taught the starter."
)
NOT_YOURS = "This run belongs to somebody else, so only they can move something into it."
NO_TEXT = (
    "The text that this run was trained on is not here any more, so nobody could tell whether the rest of the model "
    "suffers. The command “consolidate” takes another text with --data."
)


@dataclass(frozen=True)
class Standing:
    """What the page says of a model: why nothing can be moved now (or nothing), what would be left behind, and what
    is told of the last move, if it counts (see ``teaching.history``)."""

    starter: bool
    hindrance: str
    facts: int
    stays: str
    moved: dict[str, Any] | None


def standing(workspace: Workspace, visitor: Visitor, model: Any) -> Standing:
    """How things are with a model."""
    loaded = models.speaker_of(workspace, visitor, model).loaded
    known = memories.memories_of(workspace, visitor, loaded)
    mine = model != STARTER_ID and workspace.runs.item(model, visitor).mine
    facts, passages = len(known.own.session.facts), len(known.own.session.passages)
    hindrance = STARTER if model == STARTER_ID else "" if mine else NOT_YOURS
    if mine and proofs.held_out_of(loaded, 1) is None:
        hindrance = NO_TEXT
    left = [
        text
        for there, text in (
            (passages, "passages"),
            (known.beside, "memories beside yours"),
            (mine and workspace.runs.item(model, visitor).shared, "what others taught this run"),
        )
        if there
    ]
    return Standing(
        model == STARTER_ID,
        hindrance,
        facts,
        f"Only facts move; {' and '.join(left)} fit the model as it is, and are out of sight until an undo."
        if left
        else "",
        _moved(loaded) if mine else None,
    )


def begin(workspace: Workspace, visitor: Visitor, model: Any) -> Lesson:
    """Begin to move the visitor's facts into a run of their own; what comes of it is kept only if its check passes."""
    run, loaded = _own_run(workspace, visitor, model)
    session = memories.memories_of(workspace, visitor, loaded).own.session
    if not session.facts:
        raise UserError("There are no facts to move yet; teach some first.")
    held_out = proofs.held_out_of(loaded, WINDOWS)
    if held_out is None:
        raise UserError(NO_TEXT)

    def steps(lesson: Lesson) -> Steps:
        return _move(workspace, visitor, run, loaded, lesson, held_out)

    speaker = models.speaker_of(workspace, visitor, model)
    return lessons.start(workspace, visitor, speaker, Lesson(MOVE, model, session), steps)


def undo(workspace: Workspace, visitor: Visitor, model: Any) -> int:
    """Bring back the model from before the last move, and the memory with it; returns how many facts that holds."""
    from microformer.teaching.history import undo_consolidation

    lessons.put_away_last(workspace, visitor)
    run, loaded = _own_run(workspace, visitor, model)
    if _moved(loaded) is None:
        raise UserError("Nothing was moved into this run last, so there is nothing to undo.")
    since = memories.memories_of(workspace, visitor, loaded).own.session
    if since.facts or since.passages:
        raise UserError(
            "What you taught it since the move fits only the model as it is now; save it to a file if you want to keep "
            "it, reset it, and undo then."
        )
    with run.lock():
        kept = undo_consolidation(run.path)
    old = models.speaker_of(workspace, visitor, model).loaded
    known = memories.memories_of(workspace, visitor, old)
    if known.own.id is None:  # reset or expired since; the run has kept a copy
        memories.load(workspace, visitor, old, kept, OWN)
    return len(known.own.session.facts)


def copy_starter(workspace: Workspace, visitor: Visitor) -> str:
    """A run of the visitor's own with the starter's weights; its id. What the starter was taught fits it as well."""
    from microformer.checkpoint import STARTER

    workspace.runs.check_room(visitor)
    workspace.check_disk()
    # Names that begin with a dot are not on the shelf: the run appears there only when it is whole.
    beside = workspace.runs.root / f".{secrets.token_hex(8)}"
    with disk_errors(beside):
        shutil.copytree(STARTER, beside)
        id, path = workspace.runs.create(visitor, COPY_NAME)
        beside.rename(path)
    return id


def progress(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """What the browser shows of the move: state, share done (0 to 1) and a sentence. ``request`` is empty."""
    lesson = lessons.current(workspace, visitor)
    return lesson_progress.shown(lesson if lesson is not None and lesson.kind == MOVE else None)


def figures(workspace: Workspace, visitor: Visitor, model: Any) -> dict[str, Any] | None:
    """The numbers of the last check: of a move that was just refused, else of the one that counts."""
    lesson = lessons.current(workspace, visitor)
    if lesson is not None and lesson.model == model and lesson.check is not None and not lesson.check.passed:
        return lesson.check.described()
    return standing(workspace, visitor, model).moved


def _move(
    workspace: Workspace, visitor: Visitor, run: Run, loaded: "Loaded", lesson: Lesson, held_out: "Tensor"
) -> Steps:
    from microformer.teaching.consolidate import consolidate
    from microformer.teaching.history import keep_consolidated

    began = time.perf_counter()
    made = yield from consolidate(loaded, lesson.before, held_out)
    lesson.check = made.check
    workspace.runs.get(lesson.model, visitor, write=True)  # it may have been deleted, or its owner forgotten
    with run.lock():
        keep_consolidated(made, lesson.before)
    lesson.seconds = time.perf_counter() - began
    return lesson.before


def _own_run(workspace: Workspace, visitor: Visitor, model: Any) -> "tuple[Run, Loaded]":
    """A run that the visitor may change, and its model. Raises ``UserError`` for others, and while it is trained."""
    if model == STARTER_ID:
        raise UserError(STARTER)
    run = Run(workspace.runs.get(model, visitor, write=True))
    if run.status().state in ("queued", "running"):
        raise UserError("This run is still being trained; wait until it has ended, or pause it first.")
    return run, models.speaker_of(workspace, visitor, model).loaded


def _moved(loaded: "Loaded") -> dict[str, Any] | None:
    """What stands in the state of the checkpoint in use, when it came of a move."""
    from microformer.teaching.history import KEY

    told = loaded.state.get(KEY)
    return told if isinstance(told, dict) else None
