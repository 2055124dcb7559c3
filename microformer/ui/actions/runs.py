"""What the page tells of runs: their state in words, how their curves grew, and a table of all of them.

Everything is read from the run directories, so it is the same after a reload, in another window, or after a restart.
"""

import contextlib
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microformer.data.info import DatasetInfo
from microformer.errors import UserError
from microformer.model.profile import parameters_by_part
from microformer.training import coach
from microformer.training.config import RunConfig
from microformer.training.progress import Budget
from microformer.training.run_directory import METRICS, Run, Status
from microformer.ui.plots import PALETTE
from microformer.ui.workspace import Item, Visitor, Workspace

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("loss", "val_loss", "bits_per_byte", "lr", "grad_norm")
RUNS_DRAWN = 8
ROWS_AT_ONCE = 2_000
SAMPLES_AT_ONCE = 20
TAIL_BYTES = 512_000
"""How much of a run's metrics is read to say how it stands: the last two or three thousand rows."""
STATE_NAMES = {
    "queued": "waiting",
    "running": "training",
    "stopped": "paused",
    "finished": "finished",
    "diverged": "fell apart",
    "failed": "failed",
}


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


def look(workspace: Workspace, item: Item) -> Look:
    """Read what is known of a run now. Never fails for files that are not there yet."""
    run = Run(item.path)
    status = run.status()
    rows = newest_rows(item)
    last = rows[-1] if rows else {}
    judged: dict[str, Any] = next((row for row in reversed(rows) if row.get("val_loss") is not None), {})
    config = None
    with contextlib.suppress(UserError):
        config = run.config()
    budget = _budget(run, config)
    seconds = last.get("seconds") or 0.0
    done = min(1.0, budget.done(status_step(status, last), seconds)) if budget else 0.0
    if status.state == "finished":
        done = 1.0
    left = seconds * (1 - done) / done if status.state == "running" and done > 0 and seconds else None
    place = workspace.supervisor.place(item.path) if status.state == "queued" else None
    return Look(item, config, status, last, judged, done, budget.steps if budget else None, left, place)


def overview(workspace: Workspace, visitor: Visitor) -> list[Look]:
    """Every run the visitor may see, newest first."""
    return [look(workspace, item) for item in workspace.runs.list(visitor)]


def table(looks: list[Look]) -> "pd.DataFrame":
    """Runs side by side, one a row, as text for people."""
    import pandas as pd  # takes half a second, which the start of the page need not wait for

    rows = [
        {
            "run": one.item.name,
            "state": state_in_words(one),
            "step": f"{status_step(one.status, one.last):,}" + (f" of {one.steps:,}" if one.steps else ""),
            "training loss": _figure(one.last.get("loss"), ".3f"),
            "validation loss": _figure(one.judged.get("val_loss"), ".3f"),
            "bits per byte": _figure(one.judged.get("bits_per_byte"), ".3f"),
            "width × layers": f"{one.config.model.d_model} × {one.config.model.n_layers}" if one.config else "–",
            "time": duration(one.last.get("seconds")),
        }
        for one in looks
    ]
    return pd.DataFrame(rows)


def follow(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """What a browser lacks of the runs it shows.

    ``request``: ``shown`` (an id or nothing), ``runs`` ({id: how far its metrics were read}) and ``samples`` (how far
    those of the shown run were read). Ids that are not the visitor's to see are left out of the answer, as are runs
    that were deleted in the meantime.
    """
    items = {item.id: item for item in workspace.runs.list(visitor)}
    colours = colours_of(list(items.values()))
    cursors = request.get("runs")
    cursors = cursors if isinstance(cursors, dict) else {}
    shown = items.get(str(request.get("shown")))
    drawn = [id for id in list(cursors)[:RUNS_DRAWN] if id in items]
    now = look(workspace, shown) if shown else None
    return {
        "runs": {id: gained(items[id], _cursor(cursors[id]), colours[id]) for id in drawn},
        "shown": _shown(now, _cursor(request.get("samples"))) if now else None,
        "say": in_words(now) if now else "",
        "signature": signature([(item, Run(item.path).status().state) for item in items.values()]),
    }


def newest_rows(item: Item) -> list[dict[str, Any]]:
    """The last few thousand rows of a run's metrics, so that a long run costs no more than a short one."""
    rows, _ = Run(item.path).metrics(max(0, _size(item.path / METRICS) - TAIL_BYTES))
    return rows


def advice(now: Look) -> list[str]:
    """What the coach says of the shown run."""
    data, tokens, parameters = Run(now.item.path).data(), 0, 0
    with contextlib.suppress(UserError):
        tokens = DatasetInfo.read(data).train_tokens if data else 0
    if now.config is not None:
        parameters = sum(parameters_by_part(now.config.model).values())
    found = coach.advise(
        newest_rows(now.item),
        state=now.status.state,
        done=now.fraction,
        train_tokens=tokens,
        parameters=parameters,
    )
    return [one.text for one in found]


def gained(item: Item, cursor: int, colour: str) -> dict[str, Any]:
    """The rows of metrics since ``cursor``, by column; ``again`` says that they begin at the start of the run."""
    rows, following = Run(item.path).metrics(cursor)
    rows = thinned(rows)
    return {
        "name": item.name,
        "colour": colour,
        "again": cursor == 0 or following < cursor,
        "next": following,
        "rows": {
            "step": [row.get("step") for row in rows],
            **{column: [_short(row.get(column)) for row in rows] for column in COLUMNS},
        },
    }


def thinned(rows: list[dict[str, Any]], most: int = ROWS_AT_ONCE) -> list[dict[str, Any]]:
    """At most about ``most`` rows, evenly taken, with every evaluation and the last row among them."""
    stride = math.ceil(len(rows) / most)
    if stride <= 1:
        return rows
    last = len(rows) - 1
    return [row for i, row in enumerate(rows) if i % stride == 0 or i == last or row.get("val_loss") is not None]


def colours_of(items: list[Item]) -> dict[str, str]:
    """A colour for each run that stays the same while others come and go after it."""
    oldest_first = sorted(items, key=lambda item: (item.created, item.id))
    return {item.id: PALETTE[number % len(PALETTE)] for number, item in enumerate(oldest_first)}


def signature(runs: list[tuple[Item, str]]) -> str:
    """Changes whenever a run comes, goes, is renamed or changes its state: then lists and buttons are out of date."""
    text = "\n".join(f"{item.id} {item.name} {item.shared} {state}" for item, state in runs)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def in_words(now: Look) -> str:
    """The shown run as a sentence or two, for those who do not see the curves, and for everybody else."""
    if not now.last:
        return f"{now.item.name}: {state_in_words(now)}. The curves begin with the first step."
    parts = [f"{now.item.name} is at step {now.last['step']:,}"]
    if _number(now.last.get("loss")):
        parts.append(f"with a training loss of {now.last['loss']:.3f}")
    text = " ".join(parts)
    if _number(now.judged.get("val_loss")):
        text += f"; the validation loss was {now.judged['val_loss']:.3f} at step {now.judged['step']:,}"
    return text + ". Lower is better. Drag over the chart to enlarge a part, double-click to see all."


def state_in_words(now: Look) -> str:
    """A run's state, with its place while it waits."""
    name = STATE_NAMES.get(now.status.state, now.status.state)
    return f"{name}, number {now.place} in the queue" if now.place else name


def meaning(bits_per_byte: float) -> str:
    """What a number of bits per byte says about the model."""
    return (
        f"At {bits_per_byte:.2f} bits per byte the model is as unsure about each next character as if it had to "
        f"choose among {2**bits_per_byte:.1f}."
    )


def duration(seconds: float | None) -> str:
    """Seconds as people say them: ``45 s``, ``3 min 20 s``, ``1 h 5 min``, ``3 days``."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = round(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 3600:
        return f"{round(whole / 60)} min"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{round(whole / 86400)} days"


def status_step(status: Status, last: dict[str, Any]) -> int:
    """The last step done, by whichever of the two files is ahead."""
    return max(status.step, last.get("step") or 0)


def _shown(now: Look, samples_from: int) -> dict[str, Any]:
    samples, following = Run(now.item.path).samples(samples_from)
    step = status_step(now.status, now.last)
    bits = now.judged.get("bits_per_byte", math.nan)
    return {
        "state": now.status.state,
        "fraction": now.fraction,
        "words": {
            "name": now.item.name,
            "state": state_in_words(now),
            "message": now.status.message,
            "step": f"{step:,} of {now.steps:,}" if now.steps else f"{step:,}",
            "left": duration(now.seconds_left),
            "speed": _figure(now.last.get("tokens_per_second"), ",.0f"),
            "loss": _figure(now.last.get("loss"), ".3f"),
            "val_loss": _figure(now.judged.get("val_loss"), ".3f"),
            "bits_per_byte": _figure(bits, ".3f"),
            "meaning": meaning(bits) if _number(bits) else "",
        },
        "advice": advice(now),
        "samples_from": 0 if following < samples_from else samples_from,
        "samples_next": following,
        "samples": [
            {"when": f"step {row.get('step', 0):,}", "prompt": str(row.get("prompt", "")), "text": str(row.get("text"))}
            for row in samples[-SAMPLES_AT_ONCE:]
        ],
    }


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _budget(run: Run, config: RunConfig | None) -> Budget | None:
    """How long a run is, as far as its configuration and its dataset tell."""
    if config is None:
        return None
    tokens = 0
    if config.training.max_epochs is not None:
        data = run.data()
        if data is None:
            return None
        with contextlib.suppress(UserError):
            tokens = DatasetInfo.read(data).train_tokens
    return Budget.of(config.training, tokens, config.training.batch_size * config.model.max_seq_len)


def _cursor(value: Any) -> int:
    """How far a file was read, from a browser: a whole number that is not negative, or the start."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(value: Any) -> float | None:
    """A number for a curve, with as many digits as a screen can show; ``None`` where there is none."""
    return float(f"{value:.5g}") if _number(value) else None


def _figure(value: Any, form: str) -> str:
    return format(value, form) if _number(value) else "–"
