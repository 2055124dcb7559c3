"""A conversation in which any reply can be corrected, and the correction is taught.

The model answers each message for itself: a model this small has not learnt to hold a conversation together, and what
is taught is a fact, a message with its answer.
"""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from microformer.errors import UserError
from microformer.ui.actions import answers, models, teach
from microformer.ui.actions.answers import Manner
from microformer.ui.actions.lessons import Lesson
from microformer.ui.workspace import Visitor, Workspace

if TYPE_CHECKING:
    from microformer.generation.stream import Stream

MOST_TURNS, MOST_MESSAGE = 30, 2_000
LENGTH = 120
LIVELY, EXACT = 0.7, 0.0
"""Temperature of what the model makes up, and of what it was taught."""


@dataclass
class Turn:
    """A message and the model's reply. ``lesson`` is the correction while it is being learnt."""

    message: str
    reply: "Stream"
    open: bool
    about: str
    lesson: Lesson | None = None
    corrected: bool = False


@dataclass
class Conversation:
    """One visitor's conversation with one model, the oldest turn first."""

    turns: list[Turn] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def talk(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """Say something. ``request``: ``model`` and ``message``."""
    message = request.get("message")
    if not isinstance(message, str) or not message.strip():
        raise UserError("The message is empty; write something first.")
    if len(message) > MOST_MESSAGE:
        raise UserError(f"The message has {len(message):,} characters, but {MOST_MESSAGE:,} is the most; shorten it.")
    talked = conversation(workspace, visitor, request.get("model"))
    turn = _answered(workspace, visitor, request.get("model"), message)
    with talked.lock:
        talked.turns.append(turn)
        del talked.turns[:-MOST_TURNS]
    return follow(workspace, visitor, request)


def follow(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """The conversation as it is now. ``request``: ``model``. ``busy`` says that there will soon be more to see."""
    model = request.get("model")
    if model is None:
        return {"turns": [], "busy": False}
    talked = conversation(workspace, visitor, model)
    with talked.lock:
        for number, turn in enumerate(talked.turns):
            if turn.lesson is not None and turn.lesson.done:
                talked.turns[number] = _after_the_lesson(workspace, visitor, model, turn)
        turns = list(talked.turns)
    return {
        "turns": [_shown(turn) for turn in turns],
        "busy": any(turn.lesson is not None or not turn.reply.done for turn in turns),
    }


def correct(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """Teach what a reply should have been. ``request``: ``model``, ``turn`` (its number from 0) and ``answer``."""
    model, number = request.get("model"), request.get("turn")
    talked = conversation(workspace, visitor, model)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(talked.turns):
        raise UserError("This reply is not there (any more); say it again, and correct the new one.")
    turn = talked.turns[number]
    turn.lesson = teach.teach_fact(workspace, visitor, model, turn.message, request.get("answer"))
    return follow(workspace, visitor, request)


def start_anew(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """Forget the conversation; what was taught in it stays. ``request``: ``model``."""
    talked = conversation(workspace, visitor, request.get("model"))
    with talked.lock:
        for turn in talked.turns:
            turn.reply.stop()
        talked.turns.clear()
    return {"turns": [], "busy": False}


def conversation(workspace: Workspace, visitor: Visitor, model: Any) -> Conversation:
    """The visitor's conversation with a model. Raises ``UserError`` for a model that is not theirs to use."""
    workspace.run_path(model, visitor)
    return workspace.registry.keep(visitor, f"conversation with {model}", Conversation)


def _answered(workspace: Workspace, visitor: Visitor, model: Any, message: str) -> Turn:
    from microformer.teaching.recall import recall

    speaker = models.speaker_of(workspace, visitor, model)
    known = teach.memories_for(workspace, visitor, model)
    found = recall(known.sessions, message)
    manner = Manner(temperature=EXACT if found.open else LIVELY, max_tokens=LENGTH)
    reply = speaker.engine.sample(found.reads, manner.sampling, found.memory, owner=visitor.browser)
    return Turn(message, reply, found.open, answers.gate_in_words(found, manner, known) if found.open else "")


def _after_the_lesson(workspace: Workspace, visitor: Visitor, model: Any, turn: Turn) -> Turn:
    """The turn answered once more, now that the correction has been learnt; as it was when that came to nothing."""
    if turn.lesson is None or turn.lesson.state != "done":
        turn.lesson = None
        return turn
    again = _answered(workspace, visitor, model, turn.message)
    again.corrected = True
    return again


def _shown(turn: Turn) -> dict[str, Any]:
    return {
        "message": turn.message,
        "reply": turn.reply.error or turn.reply.text,
        "done": turn.reply.done,
        "gate": "open" if turn.open else "closed",
        "about": turn.about,
        "learning": turn.lesson is not None,
        "says": "learning your correction …" if turn.lesson is not None else "corrected" if turn.corrected else "",
    }
