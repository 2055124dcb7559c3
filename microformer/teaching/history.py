"""Consolidated models in a run's checkpoint history: kept beside what they came from, and undone."""

import shutil
from pathlib import Path

from microformer import checkpoint
from microformer.errors import UserError
from microformer.teaching.consolidate import Consolidated
from microformer.teaching.session import Session
from microformer.teaching.store import export_session
from microformer.tensor_files import load_tensors

KEY = "consolidated"
"""The entry of a checkpoint's ``state.json`` that says it was not trained but consolidated, and how that went."""
MOVED = "moved.safetensors"


def keep_consolidated(consolidated: Consolidated, session: Session) -> Path:
    """Write the new model as the run's newest checkpoint, with the session that was moved beside it for an undo.

    Returns the checkpoint's directory. Raises ``UserError`` when the check did not pass, or for the starter, which is
    everybody's.
    """
    new, check = consolidated.loaded, consolidated.check
    if not check.passed:
        raise UserError(f"The consolidated model is not kept: {'; '.join(check.complaints)}. The old one stays.")
    refuse_starter(new.run)
    number = max(_number(one) for one in [*checkpoint.checkpoints(new.run), new.checkpoint]) + 1
    directory = new.run / "checkpoints" / f"step-{number}"
    state = {name: value for name, value in new.state.items() if name not in ("val_loss", "bits_per_byte")}
    origin = {"from": new.checkpoint.name, "prompts": [fact.prompt for fact in session.facts]}
    state |= {"step": number, KEY: origin | check.described()}
    optimizer = new.checkpoint / checkpoint.OPTIMIZER
    kept = load_tensors(optimizer) if optimizer.is_file() else None
    place = _moved(directory)
    place.parent.mkdir(parents=True, exist_ok=True)
    export_session(session, place)
    checkpoint.save(directory, model=new.model, optimizer_state=kept, state=state)
    return directory


def refuse_starter(run: Path) -> None:
    """Raise ``UserError`` for the starter: what is moved into it would be moved into everybody's."""
    if run.resolve() == checkpoint.STARTER.resolve():
        raise UserError(
            "The starter is shared by everybody; save it as a run of your own first (export, then import), and "
            "consolidate that."
        )


def undo_consolidation(run: Path) -> Path:
    """Take the newest checkpoint away when it is a consolidated one; the one it came from counts again.

    Returns the file of the session that had been moved into it. Raises ``UserError`` when there is nothing to undo.
    """
    newest = checkpoint.newest(run)
    if newest is None or KEY not in checkpoint.read_state(newest):
        raise UserError("The newest checkpoint of this run was not consolidated, so there is nothing to undo.")
    (newest / checkpoint.MANIFEST).unlink()  # first, so that nobody reads a half-removed one
    shutil.rmtree(newest)
    return _moved(newest)


def _moved(directory: Path) -> Path:
    """Where the session that went into a checkpoint is kept: beside the checkpoints, which hold known files only."""
    return directory.parent.parent / KEY / directory.name / MOVED


def _number(directory: Path) -> int:
    number = directory.name.removeprefix("step-")
    return int(number) if number.isdigit() else 0
