"""What the Train tab does: start a run, pause and resume it, rename and share it, delete it and bring it back."""

from typing import Any

from microformer.errors import UserError
from microformer.training.run_directory import Run
from microformer.ui.actions import preparing
from microformer.ui.actions.plans import TALES, TALES_MEGABYTES, Plan, check_memory, plan
from microformer.ui.actions.words import duration
from microformer.ui.workspace import Visitor, Workspace


def start(
    workspace: Workspace, visitor: Visitor, dataset: Any, preset: Any, name: Any, model: Any, training: Any
) -> str:
    """Put a new run into the queue; its id. Makes Tiny Tales first where they were chosen. Raises ``UserError``."""
    plan(workspace, visitor, dataset, preset, model, training)  # refuse what cannot be before anything is made
    check_queue(workspace, visitor)
    workspace.runs.check_room(visitor)
    workspace.check_disk()
    if dataset == TALES:
        dataset = preparing.make_tales(workspace, visitor, TALES_MEGABYTES)
    limited = workspace.limits.train_minutes is not None
    planned = plan(workspace, visitor, dataset, preset, model, training, measure=limited)
    _check_context(planned)
    _check_duration(workspace, planned)
    check_memory(planned.config)
    data = workspace.datasets.item(dataset, visitor)
    wanted = name.strip() if isinstance(name, str) else ""
    id, path = workspace.runs.create(visitor, wanted or f"{data.name} · {preset}")
    workspace.supervisor.add(path, planned.config, data.path)
    return id


def stop(workspace: Workspace, visitor: Visitor, id: Any) -> None:
    """Let a run finish its step, save and end; or take it out of the queue."""
    workspace.supervisor.stop(workspace.runs.get(id, visitor, write=True))


def resume(workspace: Workspace, visitor: Visitor, id: Any) -> None:
    """Put a run back into the queue; it goes on from its newest checkpoint."""
    item = workspace.runs.item(id, visitor, write=True)
    run = Run(item.path)
    if run.data() is None:
        raise UserError(f"The dataset of {item.name} is gone, so it cannot go on; bring the dataset back first.")
    most = workspace.limits.train_minutes
    if most is not None and run.seconds() >= 60 * most:
        raise UserError(f"{item.name} has trained for {most:g} minutes, which is the most here; start a new run.")
    check_queue(workspace, visitor)
    workspace.check_disk()
    workspace.supervisor.resume(item.path)


def rename(workspace: Workspace, visitor: Visitor, id: Any, name: Any) -> str:
    """Give a run another name; returns the name it has now."""
    return workspace.runs.rename(id, name, visitor).name


def share(workspace: Workspace, visitor: Visitor, id: Any, shared: Any) -> bool:
    """Let everybody look at a run and sample from it, or only its owner; returns how it is now."""
    return workspace.runs.share(id, shared is True, visitor).shared


def delete(workspace: Workspace, visitor: Visitor, id: Any) -> tuple[str, str]:
    """Move a run to the trash; its name, and the token that brings it back."""
    item = workspace.runs.item(id, visitor, write=True)
    if Run(item.path).status().state in ("running", "queued"):
        raise UserError(f"{item.name} is still training or waiting; pause it first, then delete it.")
    return item.name, workspace.runs.delete(id, visitor)


def undo(workspace: Workspace, visitor: Visitor, token: Any) -> str:
    """Bring a deleted run back; its id."""
    return workspace.runs.undo(token, visitor).id


def check_queue(workspace: Workspace, visitor: Visitor) -> None:
    """Raise ``UserError`` when a visitor has as many runs under way as one may have."""
    most = workspace.limits.queued
    if most is None:
        return
    mine = [item for item in workspace.runs.list(visitor) if item.mine]
    under_way = sum(Run(item.path).status().state in ("running", "queued") for item in mine)
    if under_way >= most:
        raise UserError(f"You have {under_way} runs training or waiting, which is the most here; let one finish first.")


def _check_context(planned: Plan) -> None:
    context = planned.config.model.max_seq_len
    if planned.text_tokens is not None and planned.text_tokens <= context:
        raise UserError(
            f"The text has {planned.text_tokens:,} tokens to train on, but the context is {context:,}; "
            "take a longer text, or a smaller max_seq_len."
        )


def _check_duration(workspace: Workspace, planned: Plan) -> None:
    most = workspace.limits.train_minutes
    if most is None:
        return
    if planned.seconds is None or planned.seconds > 60 * most:
        raise UserError(
            f"This run would take about {duration(planned.seconds)}, but {most:g} minutes are the most here; "
            "choose a smaller preset or fewer steps."
            if planned.seconds is not None
            else "This model is too large to be trained here; choose a smaller preset."
        )
