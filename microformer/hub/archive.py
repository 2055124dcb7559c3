"""A run as one zip file, for those without an account: the same run always gives the same bytes."""

import tempfile
import zipfile
from pathlib import Path

from microformer.errors import UserError
from microformer.files import check_new_directory, check_new_file, disk_errors
from microformer.hub.bundle import LARGEST, WEIGHTS, bundle, unbundle

CHUNK = 2**20
WEIGHTS_SHRINK = 4  # random-looking numbers hardly shrink; a file that claims more is a zip bomb
BEGINNING = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold; the real one would make the bytes differ


def export_run(run: str | Path, file: Path) -> Path:
    """Write the best checkpoint of ``run`` (or the one that is named) into a zip; returns ``file``.

    Raises ``UserError`` when there is no checkpoint, or the file cannot be written.
    """
    shared = bundle(run)
    check_new_file(file, "run.zip")
    with disk_errors(file), tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as beside:
        unfinished = Path(beside) / file.name
        with zipfile.ZipFile(unfinished, "w") as archive:
            for name in sorted(shared.files):
                _write(archive, name, shared.files[name])
        unfinished.replace(file)
    return file


def import_run(file: Path, out: Path) -> Path:
    """Make a run at ``out`` from such a zip; returns ``out``. Raises ``UserError`` for anything else than that."""
    check_new_directory(out)
    if not file.is_file():
        raise UserError(f"There is no file {file}.")
    try:
        with zipfile.ZipFile(file) as archive, tempfile.TemporaryDirectory(prefix="microformer-") as directory:
            for entry in _checked(archive, file.name):
                _read(archive, entry, Path(directory) / entry.filename, file.name)
            return unbundle(Path(directory), out, file.name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(f"{file.name} is not a zip file that a run was exported to, or it is damaged.") from error


def _write(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    entry = zipfile.ZipInfo(name, BEGINNING)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_STORED if name == WEIGHTS else zipfile.ZIP_DEFLATED
    entry.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(entry, "w", force_zip64=entry.file_size > 2**30) as target:
        while chunk := source.read(CHUNK):
            target.write(chunk)


def _checked(archive: zipfile.ZipFile, origin: str) -> list[zipfile.ZipInfo]:
    """The entries, if they are just the known files, each once and of a size that it can have."""
    entries = archive.infolist()
    for entry in entries[: len(LARGEST) + 1]:
        if entry.filename not in LARGEST:
            raise UserError(f"{origin} holds {entry.filename[:100]!r}, which no exported run has; export it again.")
        if entry.file_size > LARGEST[entry.filename]:
            raise UserError(f"{entry.filename} in {origin} is larger than it can be; export the run again.")
        if entry.filename == WEIGHTS and entry.file_size > CHUNK + WEIGHTS_SHRINK * entry.compress_size:
            raise UserError(f"{entry.filename} in {origin} grows far too much when unpacked; export the run again.")
    if len({entry.filename for entry in entries}) != len(entries):
        raise UserError(f"{origin} holds the same file twice; export the run again.")
    return entries


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, origin: str) -> None:
    """Unpack one entry, never more of it than it says it has."""
    left = entry.file_size
    with disk_errors(target), archive.open(entry) as source, target.open("wb") as unpacked:
        while chunk := source.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise UserError(f"{entry.filename} in {origin} is longer than it says; it is not an exported run.")
            unpacked.write(chunk)
