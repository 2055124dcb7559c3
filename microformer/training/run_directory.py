"""A run's directory: the only channel between a trainer and whoever watches it (section 4 of the design).

The trainer writes through it, pages and commands read through it. Whether a run is alive is told by its lock.
"""

import contextlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from microformer.data.tokenizers import load_tokenizer
from microformer.errors import UserError
from microformer.files import (
    append_json_line,
    disk_errors,
    read_json,
    read_json_lines,
    read_text,
    read_yaml,
    write_json,
    write_text,
    write_yaml,
)
from microformer.training.config import RunConfig

CONFIG, TOKENIZER, DATA = "config.yaml", "tokenizer.json", "data.json"
METRICS, SAMPLES, STATUS, REQUEST, LOCK, LOG = (
    "metrics.jsonl",
    "samples.jsonl",
    "status.json",
    "request.json",
    ".lock",
    "trainer.log",
)
TAIL_BYTES = 8_000
"""More than one row of metrics takes."""


@dataclass(frozen=True)
class Status:
    """What a run is doing: its ``state``, the last step done, a sentence for people, and when (seconds since 1970).

    The state is ``queued``, ``running``, ``stopped``, ``finished``, ``diverged`` or ``failed``.
    """

    state: str
    step: int = 0
    message: str = ""
    updated: float = 0.0


class Run:
    """One run on disk. Reading never raises for files that are not there yet."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def exists(self) -> bool:
        """Whether a run was ever set up here."""
        return (self.path / CONFIG).is_file()

    def set_up(self, config: RunConfig, data: Path) -> None:
        """Make the directory of a run on the dataset in ``data``; the tokenizer sets the size of the vocabulary."""
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for name in (METRICS, SAMPLES):
                (self.path / name).touch()
        write_text(self.path / TOKENIZER, read_text(data / TOKENIZER))
        write_json(self.path / DATA, {"directory": str(data.resolve())})
        vocab_size = load_tokenizer(self.path / TOKENIZER).vocab_size
        self.write_config(replace(config, model=replace(config.model, vocab_size=vocab_size)))

    def config(self) -> RunConfig:
        """The complete configuration. Raises ``UserError`` when there is none."""
        return RunConfig.from_dict(read_yaml(self.path / CONFIG))

    def data(self) -> Path | None:
        """The dataset directory that the run is trained on, if it is known and still there."""
        with contextlib.suppress(UserError, KeyError, TypeError):
            directory = Path(read_json(self.path / DATA)["directory"])
            return directory if directory.is_dir() else None
        return None

    def status(self) -> Status:
        """What the run is doing, corrected by the lock: a trainer that vanished has stopped, whatever it last wrote."""
        written = self.written_status()
        if written.state != "running" or self.alive():
            return written
        again = self.written_status()  # it may have ended between the two looks
        if again.state != "running":
            return again
        return Status("stopped", again.step, "The trainer ended unexpectedly; resume goes on from its last checkpoint.")

    def written_status(self) -> Status:
        """What the trainer wrote last."""
        with contextlib.suppress(UserError, TypeError):
            return Status(**read_json(self.path / STATUS))
        return Status("stopped" if self.exists() else "queued")

    def write_status(self, state: str, step: int, message: str = "") -> None:
        """Replace the status whole. On a full disk, where that cannot be, it is written over the old one."""
        status, path = asdict(Status(state, step, message, time.time())), self.path / STATUS
        try:
            write_json(path, status)
        except UserError:
            with disk_errors(path), path.open("r+", encoding="utf-8") as file:
                file.write(json.dumps(status))
                file.truncate()

    def metrics(self, since_byte: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Rows of ``metrics.jsonl`` written since ``since_byte``, and where to go on.

        A resume may have made the file shorter; then all rows are read again.
        """
        return _rows(self.path / METRICS, since_byte)

    def samples(self, since_byte: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Rows of ``samples.jsonl``: {"step", "prompt", "text"}."""
        return _rows(self.path / SAMPLES, since_byte)

    def last_row(self) -> dict[str, Any]:
        """The newest row of metrics, or an empty one; only the end of the file is read."""
        path = self.path / METRICS
        size = path.stat().st_size if path.is_file() else 0
        rows, _ = _rows(path, max(0, size - TAIL_BYTES))
        return rows[-1] if rows and isinstance(rows[-1], dict) else {}

    def seconds(self) -> float:
        """How long the run has worked, over all its resumes, as far as its metrics tell."""
        return float(self.last_row().get("seconds") or 0.0)

    def append_metrics(self, row: dict[str, Any]) -> None:
        append_json_line(self.path / METRICS, row)

    def append_sample(self, row: dict[str, Any]) -> None:
        append_json_line(self.path / SAMPLES, row)

    def forget_rows_after(self, step: int) -> None:
        """Drop metrics and samples of steps that a resume is about to do again."""
        for name in (METRICS, SAMPLES):
            rows, _ = read_json_lines(self.path / name)
            kept = [row for row in rows if isinstance(row, dict) and _number(row.get("step")) <= step]
            if len(kept) < len(rows):
                write_text(self.path / name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))

    def write_config(self, config: RunConfig) -> None:
        write_yaml(self.path / CONFIG, config.to_dict())

    def request_stop(self) -> None:
        """Ask the trainer to finish its step, save and end."""
        write_json(self.path / REQUEST, {"stop": True})

    def stop_requested(self) -> bool:
        with contextlib.suppress(UserError, AttributeError):
            return bool(read_json(self.path / REQUEST).get("stop"))
        return False

    def clear_request(self) -> None:
        (self.path / REQUEST).unlink(missing_ok=True)

    def alive(self) -> bool:
        """Whether a trainer holds the run's lock at this moment."""
        if not (self.path / LOCK).exists():
            return False
        probe = FileLock(self.path / LOCK)
        try:
            with probe.acquire(timeout=0):
                return False
        except (Timeout, OSError):
            return True

    @contextlib.contextmanager
    def lock(self, patience: float = 2.0) -> Iterator[None]:
        """Hold the run while training it; ``UserError`` when somebody else does.

        ``alive`` takes the lock for an instant to look at it, which is why this waits ``patience`` seconds.
        """
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=patience, poll_interval=0.01)
        except Timeout:
            raise UserError(
                f"Another trainer is working on the run {self.path.name}; stop it first, or choose another directory."
            ) from None
        try:
            yield
        finally:
            lock.release()


class ReadOnlyRun(Run):
    """A run as all but the first of several training processes see it: what they would write, the first one writes."""

    def set_up(self, config: RunConfig, data: Path) -> None: ...

    def write_status(self, state: str, step: int, message: str = "") -> None: ...

    def append_metrics(self, row: dict[str, Any]) -> None: ...

    def append_sample(self, row: dict[str, Any]) -> None: ...

    def forget_rows_after(self, step: int) -> None: ...

    def write_config(self, config: RunConfig) -> None: ...

    def clear_request(self) -> None: ...

    @contextlib.contextmanager
    def lock(self, patience: float = 2.0) -> Iterator[None]:
        yield


def _number(value: Any) -> float:
    """A number of a row that may be anything; what is none is beyond all."""
    return value if isinstance(value, (int, float)) else math.inf


def _rows(path: Path, since_byte: int) -> tuple[list[dict[str, Any]], int]:
    if since_byte and (not path.is_file() or path.stat().st_size < since_byte):
        since_byte = 0
    return read_json_lines(path, since_byte)
