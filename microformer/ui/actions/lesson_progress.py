"""How a lesson stands, as a progress bar shows it and in a sentence."""

import time
from typing import Any

from microformer.errors import UserError
from microformer.ui.actions.lessons import MOVE, Lesson, current
from microformer.ui.workspace import Visitor, Workspace

WENT_WRONG = "Something went wrong in this lesson that should not have; what happened is in the server's log."


def progress(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """What the browser shows of the lesson: state, share done (0 to 1) and a sentence. ``request`` is empty."""
    lesson = current(workspace, visitor)
    return shown(None if lesson is None or lesson.kind == MOVE else lesson)


def shown(lesson: Lesson | None) -> dict[str, Any]:
    """A lesson as a progress bar shows it."""
    if lesson is None or lesson.job is None:
        return {"state": "none", "fraction": 0.0, "says": "", "source": "", "key": ""}
    state = lesson.state
    fraction, says = _under_way(lesson) if state == "working" else (1.0, outcome(lesson))
    return {"state": state, "fraction": fraction, "says": says, "source": lesson.kind, "key": lesson.key}


def outcome(lesson: Lesson) -> str:
    """How a lesson ended, in a sentence."""
    assert lesson.job is not None
    if lesson.state == "stopped":
        return (
            "Stopped; what had been learnt by then is kept." if lesson.kind == "list" else "Stopped; nothing changed."
        )
    if lesson.job.error is not None:
        return str(lesson.job.error) if isinstance(lesson.job.error, UserError) else WENT_WRONG
    session, took = lesson.job.result(), f"{lesson.seconds:.2f} s"
    if lesson.kind == MOVE:
        return f"Moved in {lesson.seconds:.0f} s; the model says all of it without its second memory."
    if lesson.kind == "passage":
        known = "knows the passage by heart" if session.known and session.known[-1] else "does not know all of it yet"
        return f"Learnt in {took}; the model {known}."
    said, listed = sum(session.recited), len(session.facts)
    if lesson.kind == "forget":
        return f"Forgotten in {took}; {_of_all(said, listed)} said exactly." if listed else "Forgotten."
    if lesson.fact is not None:
        at = session.facts.index(lesson.fact)
        exactly = "says it exactly" if session.recited[at] else "does not say it exactly yet; teach it again"
        others = f"; {_of_all(said, listed)} said exactly" if listed > 1 else ""
        return f"Learnt in {took}; the model {exactly}{others}."
    return f"Learnt in {took}; {_of_all(said, listed)} said exactly."


def _of_all(said: int, listed: int) -> str:
    if listed == 1:
        return "the fact is" if said else "the fact is not"
    return f"all {listed} facts are" if said == listed else f"{said} of {listed} facts are"


def _under_way(lesson: Lesson) -> tuple[float, str]:
    assert lesson.job is not None
    now = lesson.job.progress
    if now is None:
        return 0.0, "Waiting for its turn …"
    if now.phase == "reading":
        return 0.02, "Listening to the model first, once …"
    if lesson.kind == MOVE:
        share = now.recited / max(now.listed, 1) * 0.5 + 0.45 * (1 - 0.998**now.step)
        return share, f"Learning in its sleep, step {now.step}: {now.recited} of {now.listed} learnt so far"
    group = min(16, max(now.of - now.done, 0))
    fraction = min(0.99, (now.done + group * (1 - 0.93**now.step)) / max(now.of, 1))
    doing = "Learning everything again from nothing" if now.phase == "rebuilding" else "Learning"
    says = f"{doing}, step {now.step}: {now.recited} of {now.listed} facts are said exactly"
    elapsed = time.perf_counter() - lesson.began
    if now.of > 16 and now.done and elapsed > 2:
        says += f", about {elapsed * (1 - fraction) / fraction:.0f} s left"
    return fraction, says
