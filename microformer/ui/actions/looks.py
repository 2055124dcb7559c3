"""One look at a run: its state, its newest numbers, how far it is, and what the coach says of it.

Everything is read from the run's directory, so it is the same after a reload, in another window, or after a restart.
"""

import contextlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from microformer.data.info import DatasetInfo
from microformer.errors import UserError
from microformer.model.profile import parameters_by_part
from microformer.training import coach
from microformer.training.config import RunConfig
from microformer.training.progress import Budget
from microformer.training.run_directory import CONFIG, METRICS, Run, Status
from microformer.ui.actions.plans import tokens_of_row
from microformer.ui.workspace import Item, Visitor, Workspace

TAIL_BYTES = 512_000
"""How much of a run's metrics is read to say how it stands: the last two or three thousand rows."""


@dataclass(frozen=True)
class Look:
    """One look at a run: ``last`` is its newest row of metrics, ``judged`` the newest that was evaluated."""

    item: Item
    config: RunConfig | None
    status: Status
    last: dict[str, Any]
    judged: dict[str, Any]
    fraction: float
    """Share of the run that is done, 0 to 1."""
    steps: int | None
    """How many steps there will be, if that is known."""
    seconds_left: float | None
    place: int | None
    """Place in the queue, from 1."""
    rows: list[dict[str, Any]]
    """The newest rows of metrics."""


def overview(workspace: Workspace, visitor: Visitor) -> list[Look]:
    """Every run the visitor may see, newest first."""
    return [look(workspace, item) for item in workspace.runs.list(visitor)]


def look(workspace: Workspace, item: Item) -> Look:
    """Read what is known of a run now. Never fails for files that are not there yet."""
    run = Run(item.path)
    status = run.status()
    rows = _newest_rows(item)
    last = rows[-1] if rows else {}
    judged: dict[str, Any] = next((row for row in reversed(rows) if row.get("val_loss") is not None), {})
    config = read_config(item)
    budget = _budget(item, config)
    seconds = last.get("seconds") or 0.0
    done = min(1.0, budget.done(status_step(status, last), seconds)) if budget else 0.0
    if status.state == "finished":
        done = 1.0
    left = seconds * (1 - done) / done if status.state == "running" and done > 0 and seconds else None
    place = workspace.supervisor.place(item.path) if status.state == "queued" else None
    return Look(item, config, status, last, judged, done, budget.steps if budget else None, left, place, rows)


def _newest_rows(item: Item) -> list[dict[str, Any]]:
    """The last few thousand rows of a run's metrics, so that a long run costs no more than a short one."""
    rows, _ = Run(item.path).metrics(max(0, _size(item.path / METRICS) - TAIL_BYTES))
    return rows


def read_config(item: Item) -> RunConfig | None:
    """A run's configuration, as soon as it is there."""
    return _config(item.path, _changed(item.path / CONFIG))


def read_info(item: Item) -> DatasetInfo | None:
    """The card of the text that a run learns from, as long as that is there."""
    data = Run(item.path).data()
    return _info(data, _changed(data / "dataset.json")) if data else None


def advice(now: Look, info: DatasetInfo | None) -> list[str]:
    """What the coach says of the shown run, which learns from the text of ``info``."""
    known: dict[str, Any] = {}
    if now.config is not None:
        known |= {"parameters": sum(parameters_by_part(now.config.model).values())}
    if info is not None:
        known |= {"train_tokens": info.train_tokens}
    if now.config is not None and info is not None and info.kind == "text":
        length = info.tokens / max(info.documents, 1)
        known |= {"context": now.config.model.max_seq_len, "document_tokens": length}
    found = coach.advise(now.rows, state=now.status.state, done=now.fraction, **known)
    return [one.text for one in found]


def status_step(status: Status, last: dict[str, Any]) -> int:
    """The last step done, by whichever of the two files is ahead."""
    return max(status.step, last.get("step") or 0)


def _budget(item: Item, config: RunConfig | None) -> Budget | None:
    """How long a run is, as far as its configuration and its dataset tell."""
    if config is None:
        return None
    info = None if config.training.max_epochs is None else read_info(item)
    if config.training.max_epochs is not None and info is None:
        return None
    tokens = info.train_tokens if info else 0
    return Budget.of(config.training, tokens, config.training.batch_size * tokens_of_row(info, config))


@lru_cache(maxsize=100)
def _config(run: Path, changed: int) -> RunConfig | None:
    """A run's configuration. Reading YAML takes longer than all else in a look, so it is done once for each change."""
    with contextlib.suppress(UserError):
        return Run(run).config()
    return None


@lru_cache(maxsize=100)
def _info(data: Path, changed: int) -> DatasetInfo | None:
    with contextlib.suppress(UserError):
        return DatasetInfo.read(data)
    return None


def _changed(path: Path) -> int:
    """When a file was changed, in nanoseconds; 0 while there is none."""
    with contextlib.suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
