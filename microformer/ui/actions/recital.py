"""The end of a lesson: the model, left to write freely, says what it was just taught; and what it said before."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microformer.checkpoint import Loaded
    from microformer.teaching.session import Session

TOGETHER = 16


@dataclass(frozen=True)
class Told:
    """What the model said in place of an answer before a lesson and after it; ``said`` if that is the answer now."""

    prompt: str
    before: str
    after: str
    said: bool


def recital(
    loaded: "Loaded", session: "Session", before: "Session", told: list[Told] | None
) -> "Generator[Any, None, Session]":
    """The session with a tick only for facts that the model, left to write freely, has just said and then stopped.

    Facts from ``before`` keep the tick of the lesson's own check, which covers every place of every answer. A list
    ``told`` is filled with the first of the others; to ask for more would make a long lesson wait.
    """
    from microformer.teaching.teach import Progress
    from microformer.teaching.verify import recited

    known = set(before.facts)
    new = [number for number, fact in enumerate(session.facts) if fact not in known]
    ticks = list(session.recited)
    for start in range(0, len(new), TOGETHER):
        some = new[start : start + TOGETHER]
        facts = [session.facts[number] for number in some]
        now = recited(loaded, session, facts)
        for number, (_, right) in zip(some, now, strict=True):
            ticks[number] = right
        if told is not None and not start:
            told += [
                Told(fact.prompt, old, *new)
                for fact, (old, _), new in zip(facts, recited(loaded, before, facts), now, strict=True)
            ]
        yield Progress("learning", 0, len(new), len(new), sum(ticks), len(ticks), session)
    return replace(session, recited=tuple(ticks))
