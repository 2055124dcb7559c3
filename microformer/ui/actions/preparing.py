"""Preparing a text in the background, one at a time for each visitor; see ``work``."""

import math
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microformer import files
from microformer.data.corpora import CORPORA
from microformer.data.prepare import prepare
from microformer.data.sources import Unreachable
from microformer.errors import UserError
from microformer.ui.actions import work
from microformer.ui.actions.text_choice import TextChoice, source_of, tokenizer_of
from microformer.ui.workspace import Visitor, Workspace

KEPT_AS = "preparation"


@dataclass
class Preparation(work.Work):
    """A text on its way to a dataset. ``source`` says where it comes from, as in ``TextChoice``."""

    offline: bool = False
    """Whether it failed because a public corpus could not be reached."""
    dataset: str | None = None


def begin(workspace: Workspace, visitor: Visitor, choice: TextChoice) -> Preparation:
    """Start to prepare a dataset, and return at once. Raises ``UserError`` for what can be refused beforehand."""
    work.refuse_second(current(workspace, visitor), "being prepared")
    workspace.datasets.check_room(visitor)
    workspace.check_disk()
    source, options, name, clean_up = source_of(workspace, choice)
    options |= tokenizer_of(workspace, visitor, choice)
    given = choice.name.strip() if isinstance(choice.name, str) else ""
    started = Preparation(given or name, workspace.clock(), choice.source)

    def steps(progress: work.Progress) -> None:
        with clean_up:
            _prepare(workspace, visitor, started, source, options | {"progress": progress})

    work.start(workspace, visitor, KEPT_AS, started, steps)
    return started


def current(workspace: Workspace, visitor: Visitor) -> Preparation | None:
    """The visitor's preparation in progress, or the last one."""
    found: Preparation | None = workspace.registry.get(visitor, KEPT_AS)
    return found


def stop(workspace: Workspace, visitor: Visitor) -> None:
    """Stop the visitor's preparation; nothing of it is kept."""
    work.stop(current(workspace, visitor))


def progress(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """What the browser shows of the preparation, see ``work.shown``. ``request`` is empty."""
    job = current(workspace, visitor)
    if job is None:
        return work.NONE
    says = f"{job.doing} … {100 * job.fraction:.0f} %"
    elapsed = workspace.clock() - job.began
    if job.fraction > 0.05 and elapsed > 2:
        says += f", about {math.ceil(elapsed * (1 - job.fraction) / job.fraction)} s left"
    return work.shown(job, says)


def make_tales(workspace: Workspace, visitor: Visitor, size: float) -> str:
    """Prepare ``size`` megabytes of Tiny Tales now and wait for it; the new dataset's id."""
    started = begin(workspace, visitor, TextChoice(size=size))
    started.ended.wait()
    if started.dataset is None:
        raise UserError(started.message or "Preparing Tiny Tales was stopped; start again.")
    return started.dataset


def _prepare(
    workspace: Workspace, visitor: Visitor, job: Preparation, source: str | list[str | Path], options: dict[str, Any]
) -> None:
    # Names that begin with a dot are not on the shelf: the dataset appears there only when it is whole.
    beside = workspace.datasets.root / f".{secrets.token_hex(8)}"
    try:
        prepare(source, out=beside, name=job.name, clock=workspace.clock, **options)
    except Unreachable:
        job.offline = True
        corpus = CORPORA[str(source).removeprefix("hub:")].title
        raise UserError(
            f"{corpus} could not be read from the Hugging Face Hub; check the network connection, or take Tiny "
            "Tales, which need none."
        ) from None
    id, path = workspace.datasets.create(visitor, job.name)
    with files.disk_errors(path):
        beside.rename(path)
    job.dataset, job.message = id, f"“{job.name}” is ready."
