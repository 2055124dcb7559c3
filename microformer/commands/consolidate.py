"""``consolidate``: what a session was taught becomes part of the model, if that does no harm; and the way back."""

from pathlib import Path
from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser, add_json
from microformer.errors import UserError

DESCRIPTION = (
    "Move what a session was taught into the model's long-term memory. The new model is compared with the old one; it "
    "becomes the run's newest checkpoint only when it says every fact and nothing else suffered."
)


def add_arguments(parser: Parser) -> None:
    """What ``consolidate`` accepts."""
    parser.add_argument("run", metavar="RUN", help="The run that the session was taught on.")
    parser.option("--session", metavar="SESSION", help="The session to move.")
    parser.option("--data", metavar="DIR", help="A dataset to compare on (default: the run's).")
    parser.add_argument("--undo", action="store_true", help="Take the last consolidation back.")
    add_json(parser, "how the new model compares with the old one")


def run(values: dict[str, Any]) -> None:
    """Consolidate, or undo it, and say how it went."""
    if "session" not in values and not values["undo"]:
        raise UserError("There is nothing to move; give a session with --session SESSION.")
    from microformer.checkpoint import resolve, run_of
    from microformer.teaching.history import refuse_starter, undo_consolidation
    from microformer.training.run_directory import Run

    run = run_of(resolve(values["run"]))
    refuse_starter(run)
    with Run(run).lock():  # a trainer would write checkpoints of its own
        if values["undo"]:
            output.result(f"The model is as it was before; what had been moved is in {undo_consolidation(run)}.")
        else:
            move(values)


def move(values: dict[str, Any]) -> None:
    """Move a session into its run."""
    from microformer.checkpoint import load
    from microformer.commands.lessons import finished
    from microformer.commands.sessions import open_sessions
    from microformer.teaching.consolidate import consolidate
    from microformer.teaching.history import keep_consolidated
    from microformer.training.held_out import validation_of, windows_of

    loaded = load(values["run"])
    (session,) = open_sessions([values["session"]], loaded)
    dataset = validation_of(loaded, Path(values["data"]) if "data" in values else None)
    held_out = windows_of(dataset, loaded.model.config.max_seq_len)
    made = finished(consolidate(loaded, session, held_out))
    directory = keep_consolidated(made, session)
    if values["json"]:
        output.result_json({"checkpoint": str(directory), **made.check.described()})
    else:
        output.result(
            f"{directory}: all {made.check.facts} facts are part of the model now; its next token on other text is the "
            f"same at {made.check.locality:.1%} of places. consolidate --undo takes it back."
        )
