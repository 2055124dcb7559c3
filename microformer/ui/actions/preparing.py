"""Preparing a text in the background, one at a time for each visitor.

The work runs in a thread of the app and not in a browser's event, so a reload shows it again, still going.
"""

import contextlib
import logging
import math
import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from microformer import files
from microformer.data.corpora import CORPORA
from microformer.data.prepare import prepare
from microformer.data.sources import Unreachable
from microformer.errors import UserError
from microformer.ui.actions.models import starter_there
from microformer.ui.workspace import STARTER_ID, Visitor, Workspace

log = logging.getLogger(__name__)

SOURCES = ("tales", "paste", "upload", "hub")
TALES = {
    "tales": "Tiny Tales",
    "tales:mood": "Moods in Tiny Tales",
    "tales:count": "Counts in Tiny Tales",
    "tales:questions": "Questions on Tiny Tales",
}
"""What the program can tell stories for, and what the dataset is called."""
LEARNED = ("bpe", "wordpiece")
GIVEN = "given"
"""Stands for a tokenizer that exists already."""
KEPT_AS = "preparation"
MEGABYTE = 10**6


class Stopped(Exception):
    """The visitor asked to stop."""


@dataclass
class Preparation:
    """A text on its way to a dataset. Its thread writes, anybody reads; ``state`` is set last."""

    name: str
    began: float
    source: str = "tales"
    fraction: float = 0.0
    doing: str = "Starting"
    state: str = "working"
    """``working``, then ``done``, ``stopped`` or ``failed``."""
    message: str = ""
    offline: bool = False
    """Whether it failed because a public corpus could not be reached."""
    dataset: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class TextChoice:
    """What was chosen on the Data tab, in the order of its inputs; sizes are in megabytes."""

    source: str = "tales"
    size: Any = 5
    pasted: Any = ""
    uploaded: Any = None
    corpus: Any = None
    corpus_size: Any = 5
    tokenizer: Any = "char"
    vocab_size: Any = None
    like: Any = None
    tokenizer_file: Any = None
    name: Any = ""
    tales: Any = "tales"
    """Plain stories, or which of their sets of rows."""


def begin(workspace: Workspace, visitor: Visitor, choice: TextChoice) -> Preparation:
    """Start to prepare a dataset, and return at once. Raises ``UserError`` for what can be refused beforehand."""
    working = current(workspace, visitor)
    if working is not None and working.state == "working":
        raise UserError(f"“{working.name}” is still being prepared; wait for it, or stop it first.")
    workspace.datasets.check_room(visitor)
    workspace.check_disk()
    source, options, name, clean_up = _source(workspace, choice)
    options |= _tokenizer(workspace, visitor, choice)
    given = choice.name.strip() if isinstance(choice.name, str) else ""
    started = Preparation(given or name, workspace.clock(), choice.source)
    workspace.registry.put(visitor, KEPT_AS, started)

    def work() -> None:
        with clean_up:
            _run(workspace, visitor, started, source, options)

    threading.Thread(target=work, name="prepare", daemon=True).start()
    return started


def current(workspace: Workspace, visitor: Visitor) -> Preparation | None:
    """The visitor's preparation in progress, or the last one."""
    found: Preparation | None = workspace.registry.get(visitor, KEPT_AS)
    return found


def stop(workspace: Workspace, visitor: Visitor) -> None:
    """Stop the visitor's preparation; nothing of it is kept."""
    working = current(workspace, visitor)
    if working is not None:
        working.stop.set()


def progress(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """What the browser shows of the preparation: state, share done (0 to 1) and sentences. ``request`` is empty."""
    working = current(workspace, visitor)
    if working is None:
        return {"state": "none", "fraction": 0.0, "says": "", "source": "", "key": 0.0}
    state, fraction = working.state, working.fraction  # the state first: what ends the work is written before it
    says = {
        "working": f"{working.doing} … {100 * fraction:.0f} %",
        "done": f"“{working.name}” is ready.",
        "stopped": "Stopped; nothing was kept.",
        "failed": working.message,
    }[state]
    elapsed = workspace.clock() - working.began
    if state == "working" and fraction > 0.05 and elapsed > 2:
        says += f", about {math.ceil(elapsed * (1 - fraction) / fraction)} s left"
    return {"state": state, "fraction": fraction, "says": says, "source": working.source, "key": working.began}


def make_tales(workspace: Workspace, visitor: Visitor, size: float) -> str:
    """Prepare ``size`` megabytes of Tiny Tales now and wait for it; the new dataset's id."""
    started = begin(workspace, visitor, TextChoice(size=size))
    started.ended.wait()
    if started.dataset is None:
        raise UserError(started.message or "Preparing Tiny Tales was stopped; start again.")
    return started.dataset


def _run(
    workspace: Workspace, visitor: Visitor, job: Preparation, source: str | list[str | Path], options: dict[str, Any]
) -> None:
    def told(fraction: float, text: str) -> None:
        job.fraction, job.doing = fraction, text
        if job.stop.is_set():
            raise Stopped

    # Names that begin with a dot are not on the shelf: the dataset appears there only when it is whole.
    beside = workspace.datasets.root / f".{secrets.token_hex(8)}"
    state = "failed"
    try:
        prepare(source, out=beside, progress=told, name=job.name, clock=workspace.clock, **options)
        id, path = workspace.datasets.create(visitor, job.name)
        with files.disk_errors(path):
            beside.rename(path)
        job.dataset, state = id, "done"
    except Stopped:
        state = "stopped"
    except Unreachable:
        job.message = (
            f"{job.name} could not be read from the Hugging Face Hub; check the network connection, or take Tiny "
            "Tales, which need none."
        )
        job.offline = True
    except UserError as error:
        job.message = str(error)
    except Exception:
        log.exception("preparing a dataset failed")
        job.message = "Something went wrong while the text was prepared; what happened is in the server's log."
    finally:
        job.state = state
        job.ended.set()


def _source(
    workspace: Workspace, choice: TextChoice
) -> tuple[str | list[str | Path], dict[str, Any], str, contextlib.AbstractContextManager[Any]]:
    """What ``prepare`` reads, its options, a name for it, and what to clean up afterwards."""
    nothing = contextlib.nullcontext()
    most = workspace.limits.text_mb
    if choice.source == "tales":
        size = _megabytes(choice.size, "Tiny Tales", most or 1000)
        if choice.tales not in TALES:
            raise UserError(f"There are no Tiny Tales {choice.tales!r}; choose one of {', '.join(TALES)}.")
        return choice.tales, {"size": size}, TALES[choice.tales], nothing
    if choice.source == "hub":
        if choice.corpus not in CORPORA:
            raise UserError("No corpus is chosen; pick one from the list.")
        limit = _megabytes(choice.corpus_size, "The part of the corpus", most or 10_000)
        return f"hub:{choice.corpus}", {"limit": limit}, CORPORA[choice.corpus].title, nothing
    if choice.source == "paste":
        return _pasted(workspace, choice.pasted)
    if choice.source == "upload":
        return _uploaded(workspace, choice.uploaded)
    raise UserError(f"There is no source {choice.source!r}; choose one of {', '.join(SOURCES)}.")


def _pasted(
    workspace: Workspace, text: Any
) -> tuple[list[str | Path], dict[str, Any], str, contextlib.AbstractContextManager[Any]]:
    if not isinstance(text, str) or not text.strip():
        raise UserError("There is no text yet; paste some into the box.")
    data = text.encode("utf-8", "replace")
    most = workspace.limits.text_mb
    if most is not None and len(data) > most * MEGABYTE:
        raise UserError(f"The text is {len(data) / MEGABYTE:.1f} MB long, but {most} MB is the most here; shorten it.")
    path = workspace.uploads() / f"{secrets.token_hex(8)}.txt"
    files.write_bytes(path, data)
    cleaned = contextlib.ExitStack()
    cleaned.callback(path.unlink, missing_ok=True)
    return [path], {}, "Pasted text", cleaned


def _uploaded(
    workspace: Workspace, uploaded: Any
) -> tuple[list[str | Path], dict[str, Any], str, contextlib.AbstractContextManager[Any]]:
    paths = [Path(str(one)) for one in (uploaded or [])]
    if not paths:
        raise UserError("There is no file yet; choose one or more .txt, .jsonl or .csv files.")
    size, most = sum(path.stat().st_size for path in paths if path.is_file()), workspace.limits.upload_mb
    if size > most * MEGABYTE:
        raise UserError(f"The files are {size / MEGABYTE:.0f} MB together, but {most} MB is the most here; take fewer.")
    name = paths[0].stem + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
    return list(paths), {}, name, contextlib.nullcontext()


def tokenizers(workspace: Workspace, visitor: Visitor) -> list[tuple[str, str]]:
    """Label and value of everything whose tokenizer a visitor may take over: the starter, datasets and models."""
    shelves = (("dataset", workspace.datasets), ("model", workspace.runs))
    known = [("The starter model", STARTER_ID)] if starter_there() else []
    for kind, shelf in shelves:
        for item in shelf.list(visitor):
            if (item.path / "tokenizer.json").is_file():
                known.append((f"{item.name} ({kind})", f"{kind}:{item.id}"))
    return known


def _tokenizer(workspace: Workspace, visitor: Visitor, choice: TextChoice) -> dict[str, Any]:
    """The tokenizer options of ``prepare``: a kind, or something of the visitor's; never a path that somebody typed."""
    if choice.tokenizer == GIVEN:
        return {"tokenizer": str(_given(workspace, visitor, choice))}
    if choice.tokenizer not in ("char", "byte", *LEARNED):
        raise UserError(f"There is no tokenizer {choice.tokenizer!r}; choose characters, bytes, BPE or WordPiece.")
    if choice.tokenizer not in LEARNED:
        return {"tokenizer": choice.tokenizer}
    size = choice.vocab_size
    if isinstance(size, bool) or not isinstance(size, int | float) or not math.isfinite(size):
        raise UserError("The vocabulary size is empty; set how many tokens there shall be.")
    return {"tokenizer": choice.tokenizer, "vocab_size": int(size)}


def _given(workspace: Workspace, visitor: Visitor, choice: TextChoice) -> Path | str:
    """Where the tokenizer stands that was uploaded, or that belongs to the chosen dataset or model."""
    if choice.tokenizer_file:
        return Path(str(choice.tokenizer_file))
    if choice.like == STARTER_ID:
        return STARTER_ID
    kind, _, id = str(choice.like or "").partition(":")
    if not id:
        raise UserError("No tokenizer is chosen; pick a dataset or model that has one, or give a tokenizer.json.")
    return (workspace.runs if kind == "model" else workspace.datasets).get(id, visitor)


def _megabytes(value: Any, what: str, most: float) -> int:
    """Bytes from a number of megabytes that somebody entered."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not usable or not 0 < value <= most:
        raise UserError(f"{what} is {value} MB large, but must be more than 0 and at most {most:g} MB.")
    return max(1, int(value * MEGABYTE))
