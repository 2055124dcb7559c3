"""What was chosen on the Data tab, as the options of ``prepare``; what cannot be is refused."""

import contextlib
import math
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microformer import files
from microformer.data.corpora import CORPORA
from microformer.errors import UserError
from microformer.ui.actions.models import starter_there
from microformer.ui.workspace import STARTER_ID, Visitor, Workspace

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
MEGABYTE = 10**6


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


def source_of(
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
    folder = workspace.uploads() / secrets.token_hex(8)
    with files.disk_errors(folder):
        folder.mkdir()
    cleaned = contextlib.ExitStack()
    cleaned.callback(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "your text.txt"  # what is wrong with it is told by its name
    files.write_bytes(path, data)
    return [path], {}, "Pasted text", cleaned


def _uploaded(
    workspace: Workspace, uploaded: Any
) -> tuple[list[str | Path], dict[str, Any], str, contextlib.AbstractContextManager[Any]]:
    paths = [Path(str(one)) for one in (uploaded or [])]
    if not paths:
        raise UserError("There is no file yet; choose one or more .txt, .md, .jsonl or .csv files.")
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


def tokenizer_of(workspace: Workspace, visitor: Visitor, choice: TextChoice) -> dict[str, Any]:
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
