"""What the Share tab does: models to and from the Hugging Face Hub, or as one file, one at a time for each visitor.

The work runs in a thread of the app, so a reload shows it again, still going. A token is handed on to the Hub's client
and kept nowhere; the token of whoever runs the page is never used.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microformer.errors import UserError
from microformer.files import disk_errors
from microformer.ui.actions import packing, work
from microformer.ui.actions.models import name_of
from microformer.ui.actions.work import Progress, Work
from microformer.ui.workspace import Visitor, Workspace

KEPT_AS = "transfer"


@dataclass
class Transfer(Work):
    """A model on its way. ``source`` is ``push``, ``pull``, ``export`` or ``import``.

    ``run`` is the identifier of the run that came of it, ``file`` what can be downloaded, ``address`` the page on the
    Hub.
    """

    run: str | None = None
    file: Path | None = None
    address: str | None = None


def push(workspace: Workspace, visitor: Visitor, model: Any, repository: Any, token: Any, private: Any) -> Transfer:
    """Begin to put a model's best checkpoint on the Hub, with the visitor's own token."""
    run = workspace.run_path(_chosen(model), visitor)
    repo = _line(repository)
    if not repo:
        raise UserError("The repository has no name; type one, such as my-name/my-model.")
    if not _line(token):
        raise UserError("A token with the right to write is needed; make one in the settings of your Hub account.")

    def steps(transfer: Transfer, progress: Progress) -> None:
        from microformer.hub.client import push

        transfer.address = push(run, repo, _line(token), private=private is True, progress=progress)
        transfer.message = f"“{transfer.name}” is on the Hub: {transfer.address}"

    return _begin(workspace, visitor, "push", name_of(workspace, visitor, model), steps)


def pull(workspace: Workspace, visitor: Visitor, repository: Any, token: Any) -> Transfer:
    """Begin to get a model from the Hub; without a token only public ones can be had."""
    repo = _line(repository)
    if not repo:
        raise UserError("Which model? Type the name of its repository, such as somebody/their-model.")

    def fetch(out: Path, progress: Progress) -> None:
        from microformer.hub.client import pull

        most = workspace.limits.upload_mb * 10**6
        pull(repo, out, _line(token) or None, max_bytes=most, progress=progress)

    return _begin_to_add(workspace, visitor, "pull", repo, repo.rpartition("/")[2], fetch)


def upload(workspace: Workspace, visitor: Visitor, file: Any) -> Transfer:
    """Begin to add a model from a file that was downloaded from a playground, or made by ``export``."""
    if not isinstance(file, str) or not Path(file).is_file():
        raise UserError("There is no file yet; choose a .zip that a model was downloaded as.")
    path = Path(file)
    size, most = path.stat().st_size, workspace.limits.upload_mb
    if size > most * 10**6:
        raise UserError(f"{path.name} is {size / 10**6:.0f} MB large, but {most} MB is the most here.")

    def unpack(out: Path, progress: Progress) -> None:
        from microformer.hub.archive import import_run

        progress(0.2, "Checking what is in it")
        import_run(path, out)

    return _begin_to_add(workspace, visitor, "import", path.name, path.stem, unpack)


def export(workspace: Workspace, visitor: Visitor, model: Any, form: Any = "whole") -> Transfer:
    """Begin to make one file of a model's best checkpoint; ``form`` is one of ``packing.FORMS``."""
    run = workspace.run_path(_chosen(model), visitor)
    name = name_of(workspace, visitor, model)
    packing.check_form(form)

    def steps(transfer: Transfer, progress: Progress) -> None:
        progress(0.2, "Packing")
        transfer.file = packing.pack(workspace, run, name, form)
        size = transfer.file.stat().st_size / 10**6
        transfer.message = f"{transfer.file.name} is ready ({size:.1f} MB): press Download."

    return _begin(workspace, visitor, "export", name, steps)


def current(workspace: Workspace, visitor: Visitor) -> Transfer | None:
    """The visitor's transfer in progress, or the last one."""
    found: Transfer | None = workspace.registry.get(visitor, KEPT_AS)
    return found


def stop(workspace: Workspace, visitor: Visitor) -> None:
    """Stop the visitor's transfer before its next part; nothing of it is kept here."""
    work.stop(current(workspace, visitor))


def progress(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """What the browser shows of the transfer, see ``work.shown``. ``request`` is empty."""
    transfer = current(workspace, visitor)
    return work.shown(transfer, f"{transfer.doing} …" if transfer else "")


def _begin_to_add(
    workspace: Workspace,
    visitor: Visitor,
    kind: str,
    name: str,
    run_name: str,
    fetch: Callable[[Path, Progress], None],
) -> Transfer:
    """Begin something that ends in a run of the visitor's."""
    workspace.runs.check_room(visitor)
    workspace.check_disk()

    def steps(transfer: Transfer, progress: Progress) -> None:
        # Names that begin with a dot are not on the shelf: the run appears there only when it is whole.
        beside = workspace.runs.root / f".{secrets.token_hex(8)}"
        fetch(beside, progress)
        id, path = workspace.runs.create(visitor, run_name)
        with disk_errors(path):
            beside.rename(path)
        transfer.run = id
        transfer.message = f"“{workspace.runs.item(id, visitor).name}” is here; you can let it write now."

    return _begin(workspace, visitor, kind, name, steps)


def _begin(
    workspace: Workspace, visitor: Visitor, kind: str, name: str, steps: Callable[[Transfer, Progress], None]
) -> Transfer:
    work.refuse_second(current(workspace, visitor), "on its way")
    started = Transfer(name, workspace.clock(), kind)

    def run(progress: Progress) -> None:
        steps(started, progress)
        workspace.mark(visitor, "hub")

    work.start(workspace, visitor, KEPT_AS, started, run)
    return started


def _chosen(model: Any) -> Any:
    """The model that was chosen, or ``UserError`` when none was."""
    if not model:
        raise UserError("No model is chosen; train one first, or get one from the Hub.")
    return model


def _line(value: Any) -> str:
    """What somebody typed into a box of one line."""
    return value.strip() if isinstance(value, str) else ""
