"""Lessons: teaching that goes on in the engine while the page is looked at, one at a time for each browser.

What was learnt is written to disk by the engine's thread, group by group, so a closed page loses nothing.
"""

import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from microformer.errors import UserError
from microformer.generation.jobs import CANCELLED
from microformer.ui.actions import models
from microformer.ui.actions.memories import Memories, fingerprints_of, keep, memories_of
from microformer.ui.actions.recital import Told, recital
from microformer.ui.workspace import Visitor, Workspace

if TYPE_CHECKING:
    from microformer.checkpoint import Loaded
    from microformer.generation.jobs import Job
    from microformer.teaching.consolidate import Check
    from microformer.teaching.proof import TokenChance
    from microformer.teaching.session import Fact, Session
    from microformer.teaching.teach import Teaching
    from microformer.ui.workspace.engines import Speaker

log = logging.getLogger(__name__)

KEPT_AS, MOVE = "lesson", "move"
MakeLesson = Callable[["Loaded", "Session"], "Teaching"]
Steps = Generator[Any, None, "Session"]


@dataclass
class Lesson:
    """Something that is being taught, or was. The engine's thread writes, anybody reads.

    ``kind`` is ``fact``, ``list``, ``passage``, ``forget``, or ``move`` when the run itself learns what its session
    holds; ``fact`` is there when there is one. ``before`` is the session from before, ``seconds`` how long learning
    took. ``chances`` tell of each token of the fact's answer how likely it was and is; ``told`` what the model said
    before and says now of the first new facts of a list; ``unchanged`` whether the base model's hashes are what they
    were before the first lesson; ``check`` how a move went.
    """

    kind: str
    model: str
    before: "Session"
    fact: "Fact | None" = None
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    began: float = 0.0
    job: "Job[Session] | None" = None
    seconds: float = 0.0
    chances: "list[TokenChance]" = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    unchanged: bool | None = None
    check: "Check | None" = None
    shown: bool = False

    @property
    def done(self) -> bool:
        return self.job is not None and self.job.done

    @property
    def state(self) -> str:
        """``working``, ``done``, ``stopped`` or ``failed``."""
        if self.job is None or not self.job.done:
            return "working"
        if self.job.error is None:
            return "done"
        return "stopped" if str(self.job.error) == CANCELLED else "failed"


def begin(
    workspace: Workspace, visitor: Visitor, model: Any, kind: str, make: MakeLesson, fact: "Fact | None" = None
) -> Lesson:
    """Start a lesson in the model's engine and return at once. Raises ``UserError`` while another one goes on."""
    speaker = models.speaker_of(workspace, visitor, model)
    memories = memories_of(workspace, visitor, speaker.loaded)

    def steps(lesson: Lesson) -> Steps:
        return _learn(workspace, visitor, speaker.loaded, memories, lesson, make)

    with memories.lock:
        if memories.own.id is None:
            workspace.sessions.check_room(visitor)
        return start(workspace, visitor, speaker, Lesson(kind, model, memories.own.session, fact), steps)


def get_ready(workspace: Workspace, visitor: Visitor, model: Any) -> None:
    """Have the model write what the first lesson will need while a person is still typing; it is there for everybody.

    It takes some seconds. A lesson that comes sooner goes on with it.
    """
    from microformer.teaching.frozen_base import frozen_base_of

    speaker = models.speaker_of(workspace, visitor, model)
    base = frozen_base_of(speaker.loaded)
    if base.anchors is None:
        with contextlib.suppress(UserError):  # others have begun it often enough
            speaker.engine.run(base.prepare())


def start(
    workspace: Workspace, visitor: Visitor, speaker: "Speaker", lesson: Lesson, steps: Callable[[Lesson], Steps]
) -> Lesson:
    """Let the engine do the steps of a lesson; see ``begin``. One at a time for each browser."""
    workspace.check_disk(20_000_000)
    with memories_of(workspace, visitor, speaker.loaded).lock:
        refuse_while_learning(workspace, visitor)
        lesson.began = time.perf_counter()
        lesson.job = speaker.engine.run(_logged(steps(lesson)), owner=visitor.browser)
        workspace.registry.put(visitor, KEPT_AS, lesson)
    workspace.mark(visitor, "teach")
    return lesson


def current(workspace: Workspace, visitor: Visitor) -> Lesson | None:
    """The visitor's lesson under way, or the last one."""
    found: Lesson | None = workspace.registry.get(visitor, KEPT_AS)
    return found


def refuse_while_learning(workspace: Workspace, visitor: Visitor) -> None:
    """Raise ``UserError`` while a lesson goes on: what it learns on must not be changed under it."""
    lesson = current(workspace, visitor)
    if lesson is not None and not lesson.done:
        raise UserError("The model is still learning what you taught it last; wait for it, or stop it first.")


def put_away_last(workspace: Workspace, visitor: Visitor) -> None:
    """Before what was taught is exchanged as a whole: what the last lesson came to is not true of that any more.

    Raises ``UserError`` while a lesson goes on.
    """
    refuse_while_learning(workspace, visitor)
    workspace.registry.put(visitor, KEPT_AS, None)


def learning(workspace: Workspace, visitor: Visitor, *, moving: bool = False) -> bool:
    """Whether a lesson goes on; ``moving`` asks for one that moves facts into the run itself, which it else is not."""
    lesson = current(workspace, visitor)
    return lesson is not None and not lesson.done and (lesson.kind == MOVE) is moving


def stop(workspace: Workspace, visitor: Visitor) -> None:
    """Stop the lesson under way; of a list, what was learnt so far stays."""
    lesson = current(workspace, visitor)
    if lesson is not None and lesson.job is not None:
        lesson.job.cancel()


def _learn(
    workspace: Workspace, visitor: Visitor, loaded: "Loaded", memories: Memories, lesson: Lesson, make: MakeLesson
) -> Generator[Any, None, "Session"]:
    """The job: learn, keep what was learnt, let the model recite it, and look at the base model again."""
    began, done = time.perf_counter(), 0
    with contextlib.closing(make(loaded, lesson.before)) as steps:
        while True:
            try:
                now = next(steps)
            except StopIteration as end:
                session: Session = end.value
                break
            if now.done > done:
                done = now.done
                keep(workspace, visitor, loaded, memories, now.session)
            yield now
    lesson.seconds = time.perf_counter() - began
    session = yield from recital(loaded, session, lesson.before, lesson.told if lesson.kind == "list" else None)
    keep(workspace, visitor, loaded, memories, session)
    if lesson.fact is not None:
        from microformer.teaching.proof import answer_chances

        lesson.chances = answer_chances(loaded, session, lesson.fact)
        yield lesson.job.progress if lesson.job else None
    memories.fingerprints = memories.fingerprints[0], fingerprints_of(loaded)
    lesson.unchanged = memories.fingerprints[0] == memories.fingerprints[1]
    return session


def _logged(steps: Generator[Any, None, "Session"]) -> Generator[Any, None, "Session"]:
    """The same steps; what no user can have caused is written to the log before it ends the job."""
    try:
        return (yield from steps)
    except UserError:
        raise
    except Exception:
        log.exception("a lesson failed")
        raise
