"""What the browser shows of runs: how their curves grew, the shown one in words, and a table of all of them."""

import hashlib
import math
from typing import TYPE_CHECKING, Any

from microformer.training.run_directory import Run
from microformer.ui.actions.looks import Look, advice, look, read_config, read_info, status_step
from microformer.ui.actions.words import (
    TEXT_SCORE,
    duration,
    figure,
    in_words,
    is_number,
    meaning,
    score_of,
    shortened,
    state_in_words,
)
from microformer.ui.plots import PALETTE, escape_label
from microformer.ui.workspace import Item, Visitor, Workspace

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("loss", "val_loss", "score", "lr", "grad_norm")
"""``score`` is what the run's task is judged by: bits per byte, or the share of right answers."""
RUNS_DRAWN = 8
ROWS_AT_ONCE = 2_000
SAMPLES_AT_ONCE = 20


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


def gained(item: Item, cursor: int, colour: str) -> dict[str, Any]:
    """The rows of metrics since ``cursor``, by column; ``again`` says that they begin at the start of the run.

    ``name`` is for the legend of a chart: short, and escaped as Plotly needs it.
    """
    rows, following = Run(item.path).metrics(cursor)
    rows = thinned(rows)
    config = read_config(item)
    key, score, _ = score_of(config.task if config else None)
    return {
        "name": escape_label(shortened(item.name)),
        "colour": colour,
        "judged_by": score,
        "again": cursor == 0 or following < cursor,
        "next": following,
        "rows": {
            "step": [row.get("step") for row in rows],
            **{name: [_short(row.get(key if name == "score" else name)) for row in rows] for name in COLUMNS},
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


def table(looks: list[Look]) -> "pd.DataFrame":
    """Runs side by side, one a row, as text for people."""
    import pandas as pd  # takes half a second, which the start of the page need not wait for

    rows = [
        {
            "run": one.item.name,
            "state": state_in_words(one),
            "step": f"{status_step(one.status, one.last):,}" + (f" of {one.steps:,}" if one.steps else ""),
            "training loss": figure(one.last.get("loss"), ".3f"),
            "validation loss": figure(one.judged.get("val_loss"), ".3f"),
            "result": score_in_words(one),
            "width × layers": f"{one.config.model.d_model} × {one.config.model.n_layers}" if one.config else "–",
            "time": duration(one.last.get("seconds")),
        }
        for one in looks
    ]
    return pd.DataFrame(rows)


def score_in_words(one: Look) -> str:
    """What a run reached: ``1.234 bits per byte``, or ``97.0% right answers``."""
    key, name, form = score_of(one.config.task if one.config else None)
    value = figure(one.judged.get(key), form)
    return value if value == "–" else f"{value} {name}"


def _shown(now: Look, samples_from: int) -> dict[str, Any]:
    samples, following = Run(now.item.path).samples(samples_from)
    info = read_info(now.item)
    guess = info.baselines.get("bigram") if info else None
    step = status_step(now.status, now.last)
    key, score, form = score_of(now.config.task if now.config else None)
    between = "" if key == TEXT_SCORE[0] else " → "  # a text goes on; what is asked gets an answer
    return {
        "state": now.status.state,
        "fraction": now.fraction,
        "words": {
            "name": now.item.name,
            "state": state_in_words(now),
            "message": now.status.message,
            "step": f"{step:,} of {now.steps:,}" if now.steps else f"{step:,}",
            "left": duration(now.seconds_left),
            "speed": figure(now.last.get("tokens_per_second"), ",.0f"),
            "loss": figure(now.last.get("loss"), ".3f"),
            "val_loss": figure(now.judged.get("val_loss"), ".3f"),
            "score_name": score,
            "score": figure(now.judged.get(key), form),
            "meaning": meaning(key, now.judged.get(key), info.guess if info else None),
        },
        "advice": advice(now, info),
        "guess": guess.loss if guess and score == "bits per byte" else None,
        "samples_from": 0 if following < samples_from else samples_from,
        "samples_next": following,
        "samples": [
            {
                "when": f"step {row.get('step', 0):,}",
                "prompt": str(row.get("prompt", "")),
                "text": f"{between}{row.get('text')}",
            }
            for row in samples[-SAMPLES_AT_ONCE:]
        ],
    }


def _cursor(value: Any) -> int:
    """How far a file was read, from a browser: a whole number that is not negative, or the start."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0


def _short(value: Any) -> float | None:
    """A number for a curve, with as many digits as a screen can show; ``None`` where there is none."""
    return float(f"{value:.5g}") if is_number(value) else None
