"""Evidence that teaching worked and harmed nothing: what the page shows of it, in plain values."""

import secrets
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from microformer.errors import UserError
from microformer.generation.jobs import CANCELLED
from microformer.ui.actions import lessons, models
from microformer.ui.actions.lesson_progress import WENT_WRONG
from microformer.ui.actions.lessons import Lesson
from microformer.ui.actions.memories import memories_of
from microformer.ui.workspace import Visitor, Workspace

if TYPE_CHECKING:
    from torch import Tensor

    from microformer.checkpoint import Loaded
    from microformer.generation.jobs import Job
    from microformer.teaching.proof import Change
    from microformer.teaching.session import Session

KEPT_AS = "measurement"
PROBES, WINDOWS, LENGTH, AT_ONCE = 20, 20, 128, 2
OWN_TEXT = "text the model wrote itself"
HELD_OUT = "text kept aside in training"


@dataclass(frozen=True)
class Fingerprints:
    """Hashes of the two parts of the base model, before the first lesson and after the last."""

    core: tuple[str, str]
    long_term: tuple[str, str]

    @property
    def same(self) -> bool:
        return self.core[0] == self.core[1] and self.long_term[0] == self.long_term[1]


@dataclass
class Measurement:
    """A comparison of a session with its base, under way or done. ``text`` says what the losses are of."""

    model: str
    session: "Session"
    text: str
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    job: "Job[Change] | None" = None

    @property
    def done(self) -> bool:
        return self.job is not None and self.job.done


def fingerprints(workspace: Workspace, visitor: Visitor, model: Any) -> Fingerprints:
    """The hashes of a model's core and long-term adapters, computed from its weights before and after all lessons."""
    loaded = models.speaker_of(workspace, visitor, model).loaded
    before, now = memories_of(workspace, visitor, loaded).fingerprints
    return Fingerprints((before[0], now[0]), (before[1], now[1]))


def last_lesson(workspace: Workspace, visitor: Visitor, model: Any) -> Lesson | None:
    """The last lesson of this model, if it is over and went well."""
    lesson = lessons.current(workspace, visitor)
    return lesson if lesson is not None and lesson.model == model and lesson.state == "done" else None


def measure(workspace: Workspace, visitor: Visitor, model: Any) -> Measurement:
    """Begin to compare the taught model with its base on prompts and text that have nothing to do with the facts."""
    lessons.refuse_while_learning(workspace, visitor)
    old = measurement(workspace, visitor)
    if old is not None and not old.done:
        raise UserError("This is being measured already; wait until it is done.")
    speaker = models.speaker_of(workspace, visitor, model)
    session = memories_of(workspace, visitor, speaker.loaded).own.session
    if session.is_blank:
        raise UserError("Nothing was taught yet, so nothing can have changed; teach something first.")
    held_out = held_out_of(speaker.loaded)
    begun = Measurement(model, session, OWN_TEXT if held_out is None else HELD_OUT)
    begun.job = speaker.engine.run(_compare(speaker.loaded, session, held_out), owner=visitor.browser)
    workspace.registry.put(visitor, KEPT_AS, begun)
    return begun


def measurement(workspace: Workspace, visitor: Visitor) -> Measurement | None:
    """The visitor's comparison under way, or the last one."""
    found: Measurement | None = workspace.registry.get(visitor, KEPT_AS)
    return found


def progress(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """What the browser shows of the comparison. ``request`` is empty."""
    now = measurement(workspace, visitor)
    if now is None or now.job is None:
        return {"state": "none", "fraction": 0.0, "says": "", "source": "", "key": ""}
    if not now.done:
        fraction = now.job.progress or 0.0
        says = f"Comparing with the model itself … {100 * fraction:.0f} %"
        return {"state": "working", "fraction": fraction, "says": says, "source": "", "key": now.key}
    error = now.job.error
    if error is None:
        return {"state": "done", "fraction": 1.0, "says": "Compared.", "source": "", "key": now.key}
    says = str(error) if isinstance(error, UserError) else WENT_WRONG
    state = "stopped" if says == CANCELLED else "failed"
    return {"state": state, "fraction": 1.0, "says": says, "source": "", "key": now.key}


def _compare(loaded: "Loaded", session: "Session", held_out: "Tensor | None") -> "Generator[float, None, Change]":
    """A few prompts and windows at a time, so that others' texts go on meanwhile; yields the share done."""
    from microformer.teaching.frozen_base import frozen_base_of
    from microformer.teaching.proof import own_probes, what_else_changed

    base = frozen_base_of(loaded)
    for _ in base.prepare():
        yield 0.02
    assert base.anchors is not None
    text = base.anchors.tokens[:WINDOWS] if held_out is None else held_out
    probes = own_probes(loaded, session, PROBES)
    parts = []
    for start in range(0, PROBES, AT_ONCE):
        parts.append(what_else_changed(loaded, session, probes[start : start + AT_ONCE], _slice(text, start)))
        yield (start + AT_ONCE) / PROBES
    return _together(parts)


def _slice(text: "Tensor", start: int) -> "Tensor":
    """The windows that go with the probes from ``start`` on. A short text gives some of them twice."""
    import torch

    return text[torch.arange(start, start + AT_ONCE) % len(text)]


def _together(parts: "list[Change]") -> "Change":
    """One result of parts that are equally large."""
    from microformer.teaching.proof import Change

    count = len(parts)
    return Change(
        tuple(probe for part in parts for probe in part.probes),
        sum(part.gated for part in parts),
        sum(part.forced for part in parts),
        sum(part.loss_base for part in parts) / count,
        sum(part.loss_gated for part in parts) / count,
        sum(part.loss_forced for part in parts) / count,
    )


def held_out_of(loaded: "Loaded", windows: int = WINDOWS) -> "Tensor | None":
    """Windows (windows, length + 1) of the text that was kept aside when the model was trained, if it is here."""
    from microformer.training.held_out import validation_of, windows_of

    length = min(LENGTH, loaded.model.config.max_seq_len)
    try:
        dataset = validation_of(loaded, None)
    except UserError:
        return None  # the dataset was deleted since
    return windows_of(dataset, length, windows) if len(dataset.val) >= 2 * length else None
