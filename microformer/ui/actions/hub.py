"""What the Share tab does: models to and from the Hugging Face Hub, or as one file, one at a time for each visitor.

The work runs in a thread of the app, so a reload shows it again, still going. A token is handed on to the Hub's client
and kept nowhere; the token of whoever runs the page is never used.
"""

import logging
import re
import secrets
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from microformer.errors import UserError
from microformer.files import disk_errors
from microformer.ui.actions.models import name_of
from microformer.ui.workspace import Visitor, Workspace

log = logging.getLogger(__name__)

KEPT_AS = "transfer"
FILE_KEPT = 3600.0
"""Seconds for which a file that was made for download stays."""
MOST_NAME = 60

Progress = Callable[[float, str], None]


class Stopped(Exception):
    """The visitor asked to stop."""


@dataclass
class Transfer:
    """A model on its way. Its thread writes, anybody reads; ``state`` is set last.

    ``kind`` is ``push``, ``pull``, ``export`` or ``import``. ``run`` is the identifier of the run that came of it,
    ``file`` what can be downloaded, ``address`` the page on the Hub.
    """

    kind: str
    name: str
    began: float
    fraction: float = 0.0
    doing: str = "Starting"
    state: str = "working"
    """``working``, then ``done``, ``stopped`` or ``failed``."""
    message: str = ""
    run: str | None = None
    file: Path | None = None
    address: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


def push(workspace: Workspace, visitor: Visitor, model: Any, repository: Any, token: Any, private: Any) -> Transfer:
    """Begin to put a model's best checkpoint on the Hub, with the visitor's own token."""
    run = workspace.run_path(_chosen(model), visitor)
    repo = _line(repository)
    if not repo:
        raise UserError("The repository has no name; type one, such as my-name/my-model.")
    if not _line(token):
        raise UserError("A token with the right to write is needed; make one in the settings of your Hub account.")

    def work(transfer: Transfer, progress: Progress) -> None:
        from microformer.hub.client import push

        transfer.address = push(run, repo, _line(token), private=private is True, progress=progress)
        transfer.message = f"“{transfer.name}” is on the Hub: {transfer.address}"

    return _begin(workspace, visitor, "push", name_of(workspace, visitor, model), work)


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


def export(workspace: Workspace, visitor: Visitor, model: Any) -> Transfer:
    """Begin to make one file of a model's best checkpoint."""
    run = workspace.run_path(_chosen(model), visitor)
    name = name_of(workspace, visitor, model)

    def work(transfer: Transfer, progress: Progress) -> None:
        from microformer.hub.archive import export_run

        progress(0.2, "Packing")
        # Whoever knows the address of a file may download it, so its folder has a name that cannot be guessed.
        folder = _downloads(workspace) / secrets.token_urlsafe(24)
        with disk_errors(folder):
            folder.mkdir()
        transfer.file = export_run(run, folder / f"{file_name(name)}.zip")
        transfer.message = f"{transfer.file.name} is ready: press Download."

    return _begin(workspace, visitor, "export", name, work)


def current(workspace: Workspace, visitor: Visitor) -> Transfer | None:
    """The visitor's transfer in progress, or the last one."""
    found: Transfer | None = workspace.registry.get(visitor, KEPT_AS)
    return found


def stop(workspace: Workspace, visitor: Visitor) -> None:
    """Stop the visitor's transfer before its next part; nothing of it is kept here."""
    working = current(workspace, visitor)
    if working is not None:
        working.stop.set()


def progress(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """What the browser shows of the transfer: state, share done (0 to 1) and a sentence. ``request`` is empty."""
    working = current(workspace, visitor)
    if working is None:
        return {"state": "none", "fraction": 0.0, "says": "", "source": "", "key": 0.0}
    state = working.state  # first: what ends the work is written before it
    says = {
        "working": f"{working.doing} …",
        "done": working.message,
        "stopped": "Stopped; nothing was kept.",
        "failed": working.message,
    }[state]
    return {"state": state, "fraction": working.fraction, "says": says, "source": working.kind, "key": working.began}


def file_name(name: str) -> str:
    """A name that every file system takes, from what a person called a model."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:MOST_NAME] or "model"


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

    def work(transfer: Transfer, progress: Progress) -> None:
        # Names that begin with a dot are not on the shelf: the run appears there only when it is whole.
        beside = workspace.runs.root / f".{secrets.token_hex(8)}"
        fetch(beside, progress)
        id, path = workspace.runs.create(visitor, run_name)
        with disk_errors(path):
            beside.rename(path)
        transfer.run = id
        transfer.message = f"“{workspace.runs.item(id, visitor).name}” is here; you can let it write now."

    return _begin(workspace, visitor, kind, name, work)


def _begin(
    workspace: Workspace, visitor: Visitor, kind: str, name: str, work: Callable[[Transfer, Progress], None]
) -> Transfer:
    working = current(workspace, visitor)
    if working is not None and working.state == "working":
        raise UserError(f"“{working.name}” is still on its way; wait for it, or stop it first.")
    started = Transfer(kind, name, workspace.clock())
    workspace.registry.put(visitor, KEPT_AS, started)
    threading.Thread(target=_run, args=(workspace, visitor, started, work), name="transfer", daemon=True).start()
    return started


def _run(
    workspace: Workspace, visitor: Visitor, transfer: Transfer, work: Callable[[Transfer, Progress], None]
) -> None:
    def told(fraction: float, text: str) -> None:
        if transfer.stop.is_set() and fraction < 1:
            raise Stopped
        transfer.fraction = fraction
        if fraction < 1:  # the last words name a place on this machine, which is nobody's business
            transfer.doing = text

    state = "failed"
    try:
        work(transfer, told)
        workspace.mark(visitor, "hub")
        transfer.fraction, state = 1.0, "done"
    except Stopped:
        state = "stopped"
    except UserError as error:
        transfer.message = str(error)
    except Exception:
        log.exception("%s failed", transfer.kind)
        transfer.message = "Something went wrong on the way; what happened is in the server's log."
    finally:
        transfer.state = state
        transfer.ended.set()


def _downloads(workspace: Workspace) -> Path:
    """The folder of files to download, after those that have been there for long were removed."""
    folder = workspace.uploads() / "downloads"
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
        for old in list(folder.iterdir()):
            if workspace.clock() - old.stat().st_mtime > FILE_KEPT:
                shutil.rmtree(old, ignore_errors=True)
    return folder


def _chosen(model: Any) -> Any:
    """The model that was chosen, or ``UserError`` when none was."""
    if not model:
        raise UserError("No model is chosen; train one first, or get one from the Hub.")
    return model


def _line(value: Any) -> str:
    """What somebody typed into a box of one line."""
    return value.strip() if isinstance(value, str) else ""
