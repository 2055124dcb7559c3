"""One playground: its home on disk, its visitors, its models in memory and its training queue."""

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microformer import files
from microformer.errors import UserError
from microformer.ui.workspace.limits import Limits
from microformer.ui.workspace.shelf import Shelf
from microformer.ui.workspace.visitors import Registry, Visitor, recognise

if TYPE_CHECKING:
    from microformer.generation.engine import Engine
    from microformer.training.jobs import Supervisor
    from microformer.ui.workspace.engines import Engines, Speaker

STARTER_ID = "starter"
"""What stands for the starter model wherever a run's identifier does."""
TIDY_SECONDS = 3600.0


class Workspace:
    """Datasets, runs and sessions of a playground.

    ``hosted`` says that strangers share it: then each visitor owns what they make, within ``limits``.
    ``clock`` gives seconds since 1970.
    """

    def __init__(
        self,
        home: Path,
        *,
        hosted: bool = False,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.home, self.hosted, self.clock = Path(home).resolve(), hosted, clock
        self.limits = limits or (Limits.hosted() if hosted else Limits())
        self.datasets = Shelf(self.home / "datasets", "dataset", clock=clock, limit=self.limits.datasets)
        self.runs = Shelf(self.home / "runs", "run", clock=clock, limit=self.limits.runs)
        self.sessions = Shelf(
            self.home / "sessions",
            "session",
            clock=clock,
            limit=self.limits.sessions,
            owner_of=lambda visitor: visitor.browser,
            personal=True,
        )
        self.registry = Registry()
        self._opening = threading.RLock()
        self._closed = threading.Event()

    def visitor(self, secret: Any) -> Visitor:
        """Who holds this secret. Raises ``UserError`` for none when hosted."""
        return recognise(secret, hosted=self.hosted)

    @cached_property
    def supervisor(self) -> "Supervisor":
        """The queue of training runs; it also takes up what was queued before a restart."""
        from microformer.training.jobs import Supervisor

        minutes = self.limits.train_minutes
        return Supervisor(self.home, most_seconds=None if minutes is None else 60 * minutes)

    @cached_property
    def engines(self) -> "Engines":
        """The models in memory."""
        from microformer.ui.workspace.engines import Engines  # brings torch, which the page can start without

        return Engines(streams=self.limits.streams)

    def run_path(self, id: Any, visitor: Visitor) -> Path | str:
        """What ``checkpoint`` and ``engine`` take for a run the visitor may use; ``starter`` is everybody's."""
        return STARTER_ID if id == STARTER_ID else self.runs.get(id, visitor)

    def speaker(self, run: Path | str) -> "Speaker":
        """The loaded model and the engine of a run's directory, one of its checkpoints, or ``starter``."""
        with self._opening:
            engines = self.engines
        return engines.speaker(run)

    def engine(self, run: Path | str) -> "Engine":
        """The engine of a run; see ``speaker``."""
        return self.speaker(run).engine

    def mark(self, visitor: Visitor, step: str) -> None:
        """Remember that the visitor has done a step that leaves nothing on disk: ``sample`` or ``hub``."""
        done: set[str] = self.registry.keep(visitor, "done", set)
        done.add(step)

    def app_secret(self) -> str:
        """A key kept on disk, with which browsers keep their secret through restarts of the server."""
        path = self.home / ".key"
        if path.exists():
            return files.read_text(path, 1000).strip()
        files.write_text(path, secrets.token_hex(16), private=True)
        return self.app_secret()

    def uploads(self) -> Path:
        """Where the page keeps uploaded and downloadable files for an hour."""
        path = self.home / ".uploads"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def forget(self, visitor: Visitor) -> int:
        """Remove what a browser made (alone on a machine: only its sessions); returns how many things went."""
        shelves = [self.sessions] if visitor.alone else [self.sessions, self.runs, self.datasets]
        for run in self.runs.list(visitor) if self.runs in shelves else ():
            if run.mine and (run.path / "status.json").exists():
                self.supervisor.stop(run.path)
        self.registry.forget(visitor)
        return sum(shelf.forget(visitor) for shelf in shelves)

    def clean(self) -> None:
        """Empty old trash, and remove what visitors of a hosted page left behind long ago."""
        for shelf in (self.datasets, self.runs, self.sessions):
            shelf.clean(trash_hours=self.limits.trash_hours, days_kept=self.limits.days_kept)

    def check_disk(self, needed: int = 200_000_000) -> None:
        """Raise ``UserError`` when less than ``needed`` bytes are free where the workspace is."""
        free = shutil.disk_usage(self.home).free
        if free < needed:
            raise UserError(f"Only {free // 10**6} MB are free on the disk; delete something first.")

    def start(self) -> None:
        """Begin to work off the training queue; load the starter, so that the first sample comes at once; tidy up."""
        self.supervisor.start()
        threading.Thread(target=self._look_after, name="housekeeping", daemon=True).start()

    def _look_after(self) -> None:
        with contextlib.suppress(UserError):  # without a starter there is nothing to warm up
            self.engine(STARTER_ID)
        while not self._closed.wait(TIDY_SECONDS):
            with contextlib.suppress(OSError):  # a full disk, say; the next round sees the rest
                self.clean()

    def close(self) -> None:
        """End the engines' threads and the supervisor's; runs that are training go on."""
        self._closed.set()
        if "engines" in self.__dict__:
            self.engines.close()
        if "supervisor" in self.__dict__:
            self.supervisor.close()
