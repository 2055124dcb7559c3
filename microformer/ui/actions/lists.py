"""The table of what was taught: rows for the page, and what the buttons in a row do."""

from typing import Any

from microformer.errors import UserError
from microformer.ui.actions import teach
from microformer.ui.actions.lessons import Lesson
from microformer.ui.actions.words import counted
from microformer.ui.workspace import Visitor, Workspace

MOST_ROWS = 200
MOST_SHOWN = 400
"""Characters of a prompt or an answer; longer ones are cut in the table."""


def taught(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """What the table shows. ``request``: ``model``, and ``query``, words that a row must hold.

    ``rows`` are the newest first, at most ``MOST_ROWS`` of ``found``; ``says`` sums up the whole list.
    """
    if request.get("model") is None:
        return {"rows": [], "passages": [], "beside": [], "found": 0, "count": 0, "says": ""}
    known = teach.memories_for(workspace, visitor, request.get("model"))
    session = known.own.session
    query = request.get("query")
    words = query.casefold().split() if isinstance(query, str) else []
    pairs = list(zip(session.facts, session.recited, strict=True))
    found = [
        (fact, said)
        for fact, said in reversed(pairs)
        if all(word in f"{fact.prompt} {fact.answer}".casefold() for word in words)
    ]
    return {
        "rows": [[fact.prompt, fact.answer, said] for fact, said in found[:MOST_ROWS]],
        "passages": [
            [text[:MOST_SHOWN], known_by_heart]
            for text, known_by_heart in zip(session.passages, session.known, strict=True)
        ],
        "beside": [[kept.id, kept.name, counted(len(kept.session.facts), "fact")] for kept in known.beside],
        "found": len(found),
        "count": len(pairs),
        "says": _summary(len(pairs), sum(session.recited), len(session.passages)),
    }


def change(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """Teach a row anew with another prompt or answer. ``request``: ``model``, ``old``, ``prompt``, ``answer``."""
    got = (request.get(name) for name in ("model", "old", "prompt", "answer"))
    return _begun(teach.correct(workspace, visitor, *got))


def remove(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """Forget a fact. ``request``: ``model`` and ``prompt``."""
    return _begun(teach.forget(workspace, visitor, request.get("model"), request.get("prompt")))


def remove_passage(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """Forget a passage. ``request``: ``model`` and ``number``, its place in the list."""
    return _begun(teach.forget_passage(workspace, visitor, request.get("model"), request.get("number")))


def put_aside(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """Take away a memory that was loaded beside the own. ``request``: ``model`` and ``id``."""
    if not isinstance(request.get("id"), str):
        raise UserError("No memory is chosen; press the button beside one.")
    return {"removed": teach.unload(workspace, visitor, request.get("model"), request["id"])}


def _begun(lesson: Lesson) -> dict[str, Any]:
    return {"lesson": lesson.key}


def _summary(count: int, said: int, passages: int) -> str:
    if not count and not passages:
        return ""
    parts = []
    if count:
        parts.append(f"{counted(count, 'fact')}, {'all' if said == count else said} said exactly")
    if passages:
        parts.append(counted(passages, "passage"))
    return "; ".join(parts)
