"""Reading and writing small files so that a reader sees a whole one or none, whatever happens in between."""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from microformer.errors import UserError

MAX_TEXT_BYTES = 64 * 2**20


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's "no space left" and "no permission" for ``path`` into a ``UserError``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"The disk is full: {path.name} could not be written; free some space and try again."
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise UserError(f"{path} may not be written; choose a folder that belongs to you.") from error
        raise


def check_new_file(path: Path, example: str) -> None:
    """Raise ``UserError`` when no file can be written at ``path``; ``example`` is what one could be called."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the name of a file, such as {path / example}.")
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {path.parent}; make it first, or choose another place.")


def check_new_directory(path: Path, room: int = 0) -> None:
    """Raise ``UserError`` where no directory can be made: something is there, or the disk lacks ``room`` bytes."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"There is already something at {path}; give a directory that does not exist yet.")
    if free_bytes(path) < room:
        raise UserError(f"There is not enough free space for {path}; free some and try again.")


def check_folder(path: Path) -> None:
    """Raise ``UserError`` where nothing can be written into a folder at ``path``, which may have to be made first.

    To be asked before long work, the outcome of which would be lost.
    """
    there = path
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise UserError(f"{there} is a file; choose another place.")
    if not os.access(there, os.W_OK):
        raise UserError(f"{path} may not be written; choose a folder that belongs to you.")


def write_bytes(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file beside its place, sync it, and put it there in one move. A ``private`` one is its owner's alone."""
    beside, mode = _beside(path), 0o600 if private else 0o666
    with disk_errors(path):
        try:
            with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write UTF-8 text whole or not at all; half a character (a lone surrogate) becomes a question mark."""
    write_bytes(path, text.encode(errors="replace"), private=private)


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all; numbers that are not finite are refused."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def write_yaml(path: Path, value: Any) -> None:
    """Write YAML whole or not at all, keys in the order they are given."""
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100))


def read_text(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of a file of at most ``max_bytes``, without a byte order mark, or ``UserError``."""
    try:
        if path.stat().st_size > max_bytes:
            raise UserError(f"{path.name} is larger than {max_bytes // 2**20} MB, which is more than it can be.")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, but a file is needed.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path.name} is not UTF-8 text.") from None


def read_json(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> Any:
    """The value of a JSON file, or ``UserError``."""
    try:
        return json.loads(read_text(path, max_bytes))
    except (ValueError, RecursionError):  # a number of thousands of digits is no JSONDecodeError
        raise UserError(f"{path.name} is not valid JSON.") from None


def read_yaml(path: Path, max_bytes: int = 2**20) -> Any:
    """The value of a YAML file (plain data only), or ``UserError``."""
    text = read_text(path, max_bytes)
    try:
        return _PlainLoader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError):  # a date that does not exist is no YAMLError
        raise UserError(f"{path.name} is not valid YAML.") from None


class _PlainLoader(yaml.SafeLoader):
    """Plain data, and no references: with them, a few lines can stand for a value larger than memory."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise UserError("A configuration cannot refer to a value by *; write the value out instead.")
        return super().compose_node(parent, index)


def append_json_line(path: Path, value: Any) -> None:
    """Append one line of JSON and hand it to the operating system at once."""
    with disk_errors(path), path.open("a", encoding="utf-8", errors="replace") as file:
        file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def read_json_lines(path: Path, start_byte: int = 0) -> tuple[list[Any], int]:
    """The values written since ``start_byte`` and where to go on; a last line still being written is left for later."""
    try:
        with path.open("rb") as file:
            file.seek(start_byte)
            data = file.read()
    except FileNotFoundError:
        return [], 0
    whole = data[: data.rfind(b"\n") + 1]
    rows = []
    for line in whole.splitlines():
        with contextlib.suppress(ValueError):  # a line torn by a crash, in the middle of the file
            rows.append(json.loads(line))
    return rows, start_byte + len(whole)


def json_lines_of(text: str) -> Iterator[tuple[int, Any]]:
    """The number and the value of each line that is not empty; ``None`` is the value of one that is not JSON.

    For lists that a person wrote, where every line counts.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None


@contextlib.contextmanager
def directory_written_whole(path: Path) -> Iterator[Path]:
    """A temporary directory beside ``path`` that becomes ``path`` when the block succeeds, and vanishes when it fails.

    Every file is synced before the rename. A ``path`` that already exists is replaced.
    """
    if not path.name:  # "." or "/"
        raise UserError(f"{path} cannot be made anew; give the name of a new folder, such as {path / 'new'}.")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(path)
        beside.mkdir()
        try:
            yield beside
            for file in beside.rglob("*"):
                if file.is_file():
                    _sync(file)
            _sync(beside)
            if path.exists():
                old = _beside(path)
                path.rename(old)
                beside.rename(path)
                shutil.rmtree(old, ignore_errors=True)
            else:
                beside.rename(path)
            _sync(path.parent)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(path: Path) -> int:
    """Free space of the disk that holds ``path`` (or its nearest parent that exists)."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _beside(path: Path) -> Path:
    """A place of its own in the same folder. ``tempfile`` would hide what is made there from everybody else."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
