"""The queue of training runs: one at a time, each a process of its own that outlives the app.

Nothing is kept in memory that a restart would miss: a run waits when its ``status.json`` says so, in the order in
which they were written, and works while its lock is held.
"""

import contextlib
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

import microformer
from microformer.errors import UserError
from microformer.training.config import RunConfig
from microformer.training.run_directory import LOG, Run

LOOK_SECONDS = 0.5
KEPT_VARIABLES = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT"),
    *("PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "MICROFORMER_DEBUG"),
)
"""What a trainer sees of the app's environment. Tokens and keys are not among it."""


@dataclass(frozen=True)
class Child:
    """A trainer that was started here for the run in ``path``. ``queued`` is when that had been put into the queue: a
    trainer that begins writes a later status, and so does a person who resumes the run once it has stopped."""

    path: Path
    process: subprocess.Popen[bytes]
    queued: float


class Supervisor:
    """Starts queued runs below ``home/runs``. ``start`` does so in the background; ``tick`` once, at the caller's.

    A run that has worked for ``most_seconds``, over all its resumes, is asked to save and end.
    """

    def __init__(self, home: Path, *, wait_seconds: float = LOOK_SECONDS, most_seconds: float | None = None) -> None:
        self.runs, self.wait_seconds, self.most_seconds = Path(home) / "runs", wait_seconds, most_seconds
        self.runs.mkdir(parents=True, exist_ok=True)
        self._turn = threading.RLock()
        self._wake, self._closed = threading.Event(), threading.Event()
        self._ours = FileLock(self.runs / ".supervisor.lock", thread_local=False)
        self._child: Child | None = None
        self._thread: threading.Thread | None = None

    def add(self, path: Path, config: RunConfig, data: Path) -> None:
        """Set up a new run in the directory ``path`` and put it at the end of the queue."""
        run = Run(path)
        run.set_up(config, data)
        run.write_status("queued", 0, "Waiting for its turn.")
        self._wake.set()

    def resume(self, path: Path) -> None:
        """Put a run that has stopped back into the queue; it goes on from its newest checkpoint."""
        run = Run(path)
        with self._turn:
            status = run.status()
            if status.state not in ("running", "queued"):
                run.clear_request()
                run.write_status("queued", status.step, "Waiting for its turn.")
        self._wake.set()

    def stop(self, path: Path) -> None:
        """Take a run out of the queue, or let it finish its step, save and end."""
        run = Run(path)
        with self._turn:
            status = run.status()
            if status.state == "running":
                run.request_stop()
            elif status.state == "queued":
                run.write_status("stopped", status.step, "Stopped before it began.")
                if self._starting(run.path):  # it does not read requests yet
                    assert self._child is not None
                    self._child.process.terminate()

    def place(self, path: Path) -> int | None:
        """A waiting run's place in the queue, the next being 1; ``None`` for one that does not wait."""
        waiting = [run.path.resolve() for run in self.waiting()]
        path = Path(path).resolve()
        return waiting.index(path) + 1 if path in waiting else None

    def waiting(self) -> list[Run]:
        """The queue, the next run first."""
        queued = [(run.written_status().updated, run.path.name, run) for run in self._all() if self._is_waiting(run)]
        return [run for _, _, run in sorted(queued, key=lambda entry: entry[:2])]

    def working(self) -> Run | None:
        """The run that is trained now, whoever started it."""
        return next((run for run in self._all() if run.alive()), None)

    def tick(self) -> Run | None:
        """Look once: close the books on a trainer that has ended, and start the next run if none is trained."""
        with self._turn:
            if not self._in_charge():
                return None
            self._reap()
            working = self.working()
            if working is not None and self.most_seconds is not None and working.seconds() >= self.most_seconds:
                working.request_stop()
            if self._child is not None or working is not None:
                return None
            return next((run for run in self.waiting() if self._begin(run)), None)

    def learn_speed(self, run: Run) -> None:
        """Remember how long a run has taken so far: that tells how long the next one like it will."""
        from microformer.training.estimate import learn_from  # brings torch

        with contextlib.suppress(UserError, OSError, TypeError, ValueError):
            last = run.last_row()
            learn_from(run.config(), int(last.get("step") or 0), run.seconds(), self.runs.parent)

    def start(self) -> None:
        """Work off the queue in the background until ``close``."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="training queue", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop looking after the queue. A run that is trained goes on without the app."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        with self._turn:
            self._ours.release()

    def _watch(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(OSError):  # a run deleted between two looks; the next look sees the rest
                self.tick()
            self._wake.wait(self.wait_seconds)
            self._wake.clear()

    def _in_charge(self) -> bool:
        """Whether this is the one supervisor of this home; a second app on the same files leaves them alone."""
        if not self._ours.is_locked:
            with contextlib.suppress(Timeout):
                self._ours.acquire(timeout=0)
        return self._ours.is_locked

    def _begin(self, run: Run) -> bool:
        """Start the trainer's process: low priority, a session of its own, and no secrets in its environment."""
        root = Path(microformer.__file__).parent.parent
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        # Threads that wait by spinning would take the processor from the page, and the page's from them.
        kept |= {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "microformer", "train", "--out", str(run.path.resolve()), "--resume"]
        with (run.path / LOG).open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=root,
                env=kept,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if hasattr(os, "setpriority"):
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, child.pid, 5)
        self._child = Child(run.path, child, run.written_status().updated)
        threading.Thread(target=self._wait_for, args=(self._child,), name="trainer", daemon=True).start()
        return True

    def _wait_for(self, child: "Child") -> None:
        child.process.wait()
        self._wake.set()
        self.learn_speed(Run(child.path))

    def _reap(self) -> None:
        """Forget a trainer that has ended; one that could not even begin has failed."""
        if self._child is None or self._child.process.poll() is None:
            return
        child, self._child = self._child, None
        run, path = Run(child.path), child.path
        status = run.written_status()
        if path.is_dir() and (status.state, status.updated) == ("queued", child.queued) and not run.alive():
            code = child.process.returncode
            run.write_status("failed", 0, _last_line(path / LOG) or f"The trainer ended with {code}.")

    def _starting(self, path: Path) -> bool:
        return self._child is not None and self._child.path == path and self._child.process.poll() is None

    def _is_waiting(self, run: Run) -> bool:
        return run.exists() and not self._starting(run.path) and run.written_status().state == "queued"

    def _all(self) -> list[Run]:
        return [Run(path) for path in sorted(self.runs.glob("[!.]*")) if path.is_dir()]


def _last_line(path: Path) -> str:
    """What a trainer said last: the sentence of its error."""
    with contextlib.suppress(OSError):
        lines = path.read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("Error: ") if lines else ""
    return ""
