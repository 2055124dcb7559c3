"""Which models a visitor may use: the starter and their runs, each with the checkpoints that are kept of it."""

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microformer.data.info import DatasetInfo
from microformer.errors import UserError
from microformer.files import read_json
from microformer.training.run_directory import Run
from microformer.ui.actions.words import counted
from microformer.ui.workspace import STARTER_ID, Item, Visitor, Workspace

if TYPE_CHECKING:
    from microformer.ui.workspace.engines import Speaker

BEST, NEWEST = "best", "newest"
STARTER_NAME = "Starter: knows Tiny Tales"
TALES_PROMPTS = (
    "Once upon a time",
    "One rainy morning, Nora",
    '"Come back!" called the baker.',
    "One quiet morning, Nora the teacher had a big kettle. The big kettle was in the park. Clara put the big kettle on "
    "the hill.\nIn the end they all laughed.\n\nWhere is the big kettle now?",
)
PROMPTS, PROMPT_WORDS = 4, 5


def models(workspace: Workspace, visitor: Visitor, *, speaking: bool = False) -> list[tuple[str, str]]:
    """Name and id of every model the visitor may use: the starter first, then runs that have a checkpoint, newest
    first. ``speaking`` leaves out those that do not go on with a text."""
    runs = [
        (item.name if item.mine else f"{item.name} (shared)", item.id)
        for item in workspace.runs.list(visitor)
        if can_write(item) and (not speaking or goes_on(item))
    ]
    return ([(STARTER_NAME, STARTER_ID)] if starter_there() else []) + runs


def chosen_of(ids: list[str], *wanted: Any) -> str | None:
    """The first of ``wanted`` that is among ``ids``; else the first of these, or ``None`` when there is none."""
    return next((one for one in wanted if one in ids), ids[0] if ids else None)


def can_write(run: Item) -> bool:
    """Whether a run has a checkpoint to write with."""
    return any((run.path / "checkpoints").glob("step-*"))


def goes_on(run: Item) -> bool:
    """Whether a run's model goes on with a text, rather than telling something about it or answering."""
    with contextlib.suppress(UserError):
        return Run(run.path).config().model.continues_text
    return True


def goes_on_named(workspace: Workspace, visitor: Visitor, model: Any) -> bool:
    """The same of a model by its id."""
    return model == STARTER_ID or goes_on(workspace.runs.item(model, visitor))


def starter_there() -> bool:
    """Whether the starter model came with this copy of the program."""
    from microformer.checkpoint import STARTER

    return STARTER.is_dir()


def checkpoints(workspace: Workspace, visitor: Visitor, model: Any) -> list[tuple[str, str]]:
    """What is known of each checkpoint of a model, and its id: the best, the newest, and every step that is kept."""
    from microformer import checkpoint

    kept = checkpoint.checkpoints(_directory(workspace, visitor, model))
    named = [(f"Step {_step(one):,}{_about(one)}", one.name) for one in reversed(kept)]
    return [("Best: the lowest validation loss", BEST), ("Newest", NEWEST), *named]


def speaker_of(workspace: Workspace, visitor: Visitor, model: Any, chosen: Any = BEST) -> "Speaker":
    """The loaded checkpoint of a model, ready to write. Raises ``UserError`` when it is not there or not theirs."""
    from microformer import checkpoint

    directory = _directory(workspace, visitor, model)
    if chosen in (BEST, None):
        return workspace.speaker(workspace.run_path(model, visitor))
    kept = {one.name: one for one in checkpoint.checkpoints(directory)}
    found = checkpoint.newest(directory) if chosen == NEWEST else kept.get(chosen) if isinstance(chosen, str) else None
    if found is None:
        raise UserError("This checkpoint is not kept any more; choose another one from the list.")
    return workspace.speaker(found)


def name_of(workspace: Workspace, visitor: Visitor, model: Any) -> str:
    """What a model is called."""
    return "the starter" if model == STARTER_ID else workspace.runs.item(model, visitor).name


def prompts(workspace: Workspace, visitor: Visitor, model: Any) -> list[str]:
    """A few beginnings that suit what a model has read."""
    if model == STARTER_ID:
        return list(TALES_PROMPTS)
    run = Run(workspace.runs.get(model, visitor))
    with contextlib.suppress(UserError):
        directory = run.data()
        info = None if directory is None else DatasetInfo.read(directory)
        if info is not None:
            return list(TALES_PROMPTS) if info.source == "tales" else beginnings(info.preview)
    told = [str(row.get("prompt", "")) for row in run.samples()[0][:1] if isinstance(row, dict)]
    return [prompt for prompt in told if prompt.strip()]


def suited(workspace: Workspace, visitor: Visitor, model: Any, prompt: Any) -> Any:
    """The prompt as it is; but in place of one from Tiny Tales, a beginning of the text that the model has read."""
    known = prompts(workspace, visitor, model)
    return known[0] if known and prompt in TALES_PROMPTS and prompt not in known else prompt


def beginnings(text: str) -> list[str]:
    """The first words of some lines of a text."""
    found = []
    for line in text.splitlines():
        words = re.findall(r"\S+", line)
        if len(words) >= PROMPT_WORDS:
            found.append(" ".join(words[:PROMPT_WORDS]))
    return list(dict.fromkeys(found))[:PROMPTS]


def _directory(workspace: Workspace, visitor: Visitor, model: Any) -> Path:
    """The run directory of a model; ``UserError`` for one that is not the visitor's to use."""
    from microformer.checkpoint import STARTER

    return STARTER if model == STARTER_ID else workspace.runs.get(model, visitor)


def _step(directory: Path) -> int:
    return int(directory.name.removeprefix("step-"))


def _about(directory: Path) -> str:
    """What is known of a checkpoint: its validation loss, if it was measured, and what was moved into it."""
    from microformer.checkpoint import STATE

    with contextlib.suppress(UserError, OSError, AttributeError):
        state = read_json(directory / STATE, 2**20)
        if isinstance(loss := state.get("val_loss"), float):
            return f", validation loss {loss:.3f}"
        if count := state.get("consolidated", {}).get("facts"):
            return f", {counted(count, 'fact')} moved in"
    return ""
