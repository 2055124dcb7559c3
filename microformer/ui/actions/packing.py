"""A model as one file to download: as it is, in fewer bits, or for other programs."""

import re
import secrets
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from microformer.errors import UserError
from microformer.files import disk_errors
from microformer.training.run_directory import TOKENIZER
from microformer.ui.workspace import Workspace

FORMS = {"whole": 32, "8": 8, "4": 4, "onnx": 32}
"""What a file may hold, and the bits of its weights."""
KEPT = 3600.0
"""Seconds for which a file that was made for download stays."""
MOST_NAME = 60


def pack(workspace: Workspace, run: str | Path, name: str, form: Any) -> Path:
    """A new file that holds the best checkpoint of ``run`` in one of ``FORMS``, called after the model's name."""
    check_form(form)
    # Whoever knows the address of a file may download it, so its folder has a name that cannot be guessed.
    folder = _downloads(workspace) / secrets.token_urlsafe(24)
    with disk_errors(folder):
        folder.mkdir()
    if form == "onnx":
        return _with_its_tokenizer(run, folder / f"{file_name(name)}-onnx.zip")
    from microformer.hub.archive import export_run

    if FORMS[form] == 32:
        return export_run(run, folder / f"{file_name(name)}.zip")
    with disk_errors(folder), tempfile.TemporaryDirectory(dir=folder) as beside:
        small = _in_fewer_bits(run, FORMS[form], Path(beside) / "run")
        return export_run(small, folder / f"{file_name(name)}-{form}-bits.zip")


def check_form(form: Any) -> None:
    """Raise ``UserError`` for a form that a model cannot be packed in here."""
    if form not in FORMS:
        raise UserError(f"There is no kind of file {form!r}; choose one of {', '.join(FORMS)}.")
    if form == "onnx":
        from microformer.onnx_export import check_packages

        check_packages()


def file_name(name: str) -> str:
    """A name that every file system takes, from what a person called a model."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:MOST_NAME] or "model"


def _in_fewer_bits(run: str | Path, bits: int, out: Path) -> Path:
    from microformer.adapters.quantize import quantized
    from microformer.checkpoint import load
    from microformer.training.derive import derive

    loaded = load(run)
    return derive(loaded, quantized(loaded.model, bits), out, f"The same model in {bits} bits.")


def _with_its_tokenizer(run: str | Path, file: Path) -> Path:
    """The model as ONNX, and beside it what turns texts into its tokens."""
    from microformer.checkpoint import load
    from microformer.onnx_export import onnx_bytes

    loaded = load(run)
    graph = onnx_bytes(loaded.model, {"tokenizer": TOKENIZER})
    with disk_errors(file), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.onnx", graph)
        archive.write(loaded.run / TOKENIZER, TOKENIZER)
    return file


def _downloads(workspace: Workspace) -> Path:
    """The folder of files to download, after those that have been there for long were removed."""
    folder = workspace.uploads() / "downloads"
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
        for old in list(folder.iterdir()):
            if workspace.clock() - old.stat().st_mtime > KEPT:
                shutil.rmtree(old, ignore_errors=True)
    return folder
