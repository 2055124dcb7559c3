"""A shelf of things on disk (datasets, runs or sessions): who owns what, under which name, and a trash with undo.

An identifier is made here and looked up among the entries that exist; a path is never built from what somebody sent.
The record of an item (name, owner, shared, created) stands beside the items in ``.items/``, because the item's own
directory is replaced as a whole by those who write it.
"""

import contextlib
import os
import secrets
import shutil
import string
import threading
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from microformer import files
from microformer.errors import UserError
from microformer.ui.workspace.visitors import OWNER, Visitor

ID_LETTERS = string.ascii_lowercase + string.digits
MAX_NAME = 80


@dataclass(frozen=True)
class Item:
    """One thing on a shelf, as one visitor sees it."""

    id: str
    name: str
    owner: str
    shared: bool
    created: float
    path: Path
    mine: bool


@dataclass(frozen=True)
class Record:
    """What is written about an item: ``created`` is in seconds since 1970, ``owner`` a visitor's key."""

    name: str
    owner: str
    shared: bool = False
    created: float = 0.0


class Shelf:
    """The items of one kind. ``owner_of`` says by which key a visitor owns them (sessions belong to a browser)."""

    def __init__(
        self,
        root: Path,
        kind: str,
        *,
        clock: Callable[[], float],
        limit: int | None = None,
        owner_of: Callable[[Visitor], str] = lambda visitor: visitor.key,
        personal: bool = False,
    ) -> None:
        self.root, self.kind, self.limit, self.personal = root, kind, limit, personal
        self._clock, self._owner_of = clock, owner_of
        self._records, self._trash = root / ".items", root / ".trash"
        self._lock = threading.RLock()
        for directory in (self._records, self._trash):
            with files.disk_errors(directory):
                directory.mkdir(parents=True, exist_ok=True)

    def list(self, visitor: Visitor) -> list[Item]:
        """What the visitor may see, newest first: their own and what is shared (alone on a machine: everything)."""
        seen = [item for name in self._ids() if (item := self._seen(name, visitor)) is not None]
        return sorted(seen, key=lambda item: (-item.created, item.name))

    def item(self, id: Any, visitor: Visitor, *, write: bool = False) -> Item:
        """The item of this identifier, or ``UserError`` when there is none that the visitor may see (or change)."""
        item = self._seen(id, visitor) if isinstance(id, str) and id in self._ids() else None
        if item is None:
            raise UserError(f"This {self.kind} is not there (any more); choose another one from the list.")
        if write and not item.mine:
            raise UserError(f"{item.name} belongs to somebody else; you can use it, but not change it.")
        return item

    def get(self, id: Any, visitor: Visitor, write: bool = False) -> Path:
        """The directory of an item; see ``item``."""
        return self.item(id, visitor, write=write).path

    def create(self, visitor: Visitor, name: str) -> tuple[str, Path]:
        """A new identifier and the directory to write, which does not exist yet. Raises ``UserError`` at the limit."""
        with self._lock:
            self.check_room(visitor)
            id = "".join(secrets.choice(ID_LETTERS) for _ in range(12))
            name = self._unused(clean_name(name, f"My {self.kind}"), visitor)
            self._write(id, Record(name, self._owner_of(visitor), False, self._clock()))
            return id, self.root / id

    def check_room(self, visitor: Visitor) -> None:
        """Raise ``UserError`` when the visitor already has as many as one may have."""
        if self.limit is not None:
            mine = sum(item.mine for item in self.list(visitor))
            if mine >= self.limit:
                raise UserError(f"You have {mine} {self.kind}s, which is the most here; delete one first.")

    def rename(self, id: Any, name: str, visitor: Visitor) -> Item:
        """Give an item another name."""
        with self._lock:
            item = self.item(id, visitor, write=True)
            wanted = clean_name(name, "")
            if not wanted:
                raise UserError(f"A {self.kind} needs a name; type one.")
            if wanted != item.name:
                self._write(item.id, replace(self._record(item.id), name=self._unused(wanted, visitor)))
            return self.item(id, visitor)

    def share(self, id: Any, shared: bool, visitor: Visitor) -> Item:
        """Let everybody see and use an item, or only its owner."""
        with self._lock:
            item = self.item(id, visitor, write=True)
            self._write(item.id, replace(self._record(item.id), shared=bool(shared)))
            return self.item(id, visitor)

    def delete(self, id: Any, visitor: Visitor) -> str:
        """Move an item to the trash; the token that is returned brings it back."""
        with self._lock, files.disk_errors(self.root):
            item = self.item(id, visitor, write=True)
            token = f"{item.id}-{secrets.token_hex(4)}"
            place = self._trash / token
            place.mkdir()
            files.write_json(place / "record.json", asdict(self._record(item.id)) | {"deleted": self._clock()})
            item.path.rename(place / "item")
            (self._records / f"{item.id}.json").unlink(missing_ok=True)
            return token

    def undo(self, token: Any, visitor: Visitor) -> Item:
        """Bring a deleted item back. Only its owner can."""
        with self._lock:
            place = next((entry for entry in self._trash.iterdir() if entry.name == token), None)
            record = self._deleted(place) if place is not None else None
            if place is None or record is None or not self._owns(record, visitor):
                raise UserError(f"This {self.kind} cannot be brought back any more.")
            id = place.name.split("-")[0]
            (place / "item").rename(self.root / id)
            self._write(id, record)
            shutil.rmtree(place, ignore_errors=True)
            return self.item(id, visitor)

    def forget(self, visitor: Visitor) -> int:
        """Remove for good all that a browser owns, the trash included; returns how many items went."""
        with self._lock:
            mine = [item for item in self.list(visitor) if item.mine]
            for item in mine:
                shutil.rmtree(item.path, ignore_errors=True)
                (self._records / f"{item.id}.json").unlink(missing_ok=True)
            for place in list(self._trash.iterdir()):
                record = self._deleted(place)
                if record is not None and self._owns(record, visitor):
                    shutil.rmtree(place, ignore_errors=True)
            return len(mine)

    def clean(self, *, trash_hours: float, days_kept: float | None = None) -> None:
        """Empty old trash, and remove visitors' items that were not touched for ``days_kept`` days."""
        with self._lock:
            now = self._clock()
            for place in list(self._trash.iterdir()):
                if now - self._deleted_at(place) > trash_hours * 3600:
                    shutil.rmtree(place, ignore_errors=True)
            for id in self._ids() if days_kept is not None else ():
                record = self._record(id)
                touched = max(record.created, _last_change(self.root / id))
                if record.owner != OWNER and not record.shared and now - touched > (days_kept or 0) * 86400:
                    shutil.rmtree(self.root / id, ignore_errors=True)
                    (self._records / f"{id}.json").unlink(missing_ok=True)

    def _ids(self) -> set[str]:
        with os.scandir(self.root) as entries:
            return {entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()}

    def _seen(self, id: str, visitor: Visitor) -> Item | None:
        record = self._record(id)
        mine = self._owns(record, visitor)
        if not mine and not record.shared:
            return None
        return Item(id, record.name, record.owner, record.shared, record.created, self.root / id, mine)

    def _owns(self, record: Record, visitor: Visitor) -> bool:
        # Alone on a machine everything belongs to the workspace, also what was made while it was hosted.
        return record.owner == self._owner_of(visitor) or (visitor.alone and not self.personal)

    def _record(self, id: str) -> Record:
        with contextlib.suppress(UserError, TypeError, ValueError, KeyError):
            return _record_from(files.read_json(self._records / f"{id}.json", 100_000))
        # Made by the command line, or its record is damaged: it belongs to whoever owns the machine.
        return Record(id, OWNER, False, _last_change(self.root / id))

    def _deleted(self, place: Path) -> Record | None:
        with contextlib.suppress(UserError, TypeError, ValueError, KeyError):
            return _record_from(files.read_json(place / "record.json", 100_000))
        return None

    def _deleted_at(self, place: Path) -> float:
        with contextlib.suppress(UserError, TypeError, ValueError, KeyError):
            return float(files.read_json(place / "record.json", 100_000)["deleted"])
        return _last_change(place)

    def _write(self, id: str, record: Record) -> None:
        files.write_json(self._records / f"{id}.json", asdict(record))

    def _unused(self, name: str, visitor: Visitor) -> str:
        """Two things of one person do not share a name: "Tiny Tales" is followed by "Tiny Tales 2"."""
        taken = {item.name for item in self.list(visitor) if item.mine}
        numbered = (f"{name} {number}" for number in range(2, len(taken) + 3))
        return name if name not in taken else next(one for one in numbered if one not in taken)


def clean_name(name: Any, default: str) -> str:
    """A name as it can be shown: one line, no control characters, at most 80 characters."""
    text = unicodedata.normalize("NFC", name) if isinstance(name, str) else ""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:MAX_NAME].strip() or default


def _record_from(value: Any) -> Record:
    return Record(str(value["name"])[:MAX_NAME], str(value["owner"]), value["shared"] is True, float(value["created"]))


def _last_change(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0
