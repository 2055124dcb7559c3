"""Texts that a browser watches while they are written: what each visitor has on show, and what the browser lacks of it.

A group is a few streams of the engine under one key. Groups are kept per visitor, so a key that somebody else made
finds nothing, and they outlive a reload: the browser asks for the latest group of a place and goes on watching it.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from microformer.errors import UserError
from microformer.ui.actions.words import counted
from microformer.ui.workspace import Visitor, Workspace

if TYPE_CHECKING:
    from microformer.generation.stream import Stream

GROUPS_KEPT = 24
TOKENS_AT_ONCE = 600
"""So many tokens of one text go into one answer; the browser asks again at once for the rest."""
KEPT_AS = "texts"
ENDINGS = {
    "endoftext": "ended by itself",
    "length": "reached the length",
    "stop": "came to a stop text",
    "stopped": "stopped",
}


@dataclass(frozen=True)
class Group:
    """Texts that are shown side by side.

    ``headings`` stand above them, ``about`` is a sentence above all (whether the gate opened, for example), ``place``
    says where on the page they are. ``began`` and ``ended`` are seconds of a clock that only counts on.
    """

    key: str
    place: str
    streams: tuple["Stream", ...]
    headings: tuple[str, ...]
    about: str
    began: float
    ended: list[float] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return all(stream.done for stream in self.streams)

    def stop(self) -> None:
        """Stop every text; what was written stays."""
        for stream in self.streams:
            stream.stop()


class Groups:
    """One visitor's groups, by key; only the newest are kept."""

    def __init__(self) -> None:
        self._groups: OrderedDict[str, Group] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, group: Group) -> None:
        with self._lock:
            self._groups[group.key] = group
            while len(self._groups) > GROUPS_KEPT:
                self._groups.popitem(last=False)[1].stop()

    def get(self, key: Any) -> Group | None:
        with self._lock:
            return self._groups.get(key) if isinstance(key, str) else None

    def drop(self, place: str) -> None:
        with self._lock:
            for key in [key for key, group in self._groups.items() if group.place == place]:
                del self._groups[key]

    def latest(self, place: str) -> Group | None:
        with self._lock:
            return next((one for one in reversed(self._groups.values()) if one.place == place), None)


def show(
    workspace: Workspace,
    visitor: Visitor,
    place: str,
    streams: Sequence["Stream"],
    *,
    headings: Sequence[str] = (),
    about: str = "",
    clock: Callable[[], float] = time.perf_counter,
) -> str:
    """Put streams on show in a place of the page; returns the key that the token stream component takes as its value.

    What was being written there before is stopped: nobody will look at it any more.
    """
    before = latest(workspace, visitor, place)
    if before is not None:
        before.stop()
    group = Group(secrets.token_hex(8), place, tuple(streams), tuple(headings), about, clock())
    groups(workspace, visitor).add(group)

    def note_the_end() -> None:
        for stream in group.streams:
            stream.wait()
        group.ended.append(clock())

    threading.Thread(target=note_the_end, name="texts", daemon=True).start()
    return group.key


def put_away(workspace: Workspace, visitor: Visitor, place: str) -> None:
    """Show nothing in a place any more."""
    stop(workspace, visitor, place)
    groups(workspace, visitor).drop(place)


def groups(workspace: Workspace, visitor: Visitor) -> Groups:
    """The visitor's own groups."""
    return workspace.registry.keep(visitor, KEPT_AS, Groups)


def latest(workspace: Workspace, visitor: Visitor, place: str) -> Group | None:
    """What was last shown in a place, or ``None``."""
    return groups(workspace, visitor).latest(place)


def latest_key(workspace: Workspace, visitor: Visitor, place: str) -> str | None:
    """The key of what was last shown in a place: the value of the component after a reload."""
    group = latest(workspace, visitor, place)
    return None if group is None else group.key


def stop(workspace: Workspace, visitor: Visitor, place: str) -> None:
    """Stop what is being written in a place; what is there already stays."""
    group = latest(workspace, visitor, place)
    if group is not None:
        group.stop()


def follow(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """What the browser lacks of a group.

    ``request``: ``key``, and ``have``, the number of tokens it has of each text. The answer has a text for each stream
    with its new tokens as pairs of text and probability. ``gone`` says that the group is not kept any more, after a
    restart of the server for example.
    """
    group = groups(workspace, visitor).get(request.get("key"))
    if group is None:
        return {"gone": True, "done": True, "texts": [], "about": "", "says": ""}
    have = request.get("have")
    have = have if isinstance(have, list) else []
    done = group.done  # read before the tokens: what ends a stream is written after its last token
    texts = [_news(group, i, have[i] if i < len(have) else 0) for i in range(len(group.streams))]
    return {
        "gone": False,
        "done": done and all(text["done"] for text in texts),
        "texts": texts,
        "about": group.about,
        "says": in_words(group),
    }


def alternatives(workspace: Workspace, visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    """From what a token was chosen. ``request``: ``key``, ``text`` and ``token`` (their numbers from 0).

    ``taken`` is the place of the token among its alternatives, or ``None`` when it was a less likely one.
    """
    group = groups(workspace, visitor).get(request.get("key"))
    text, token = request.get("text"), request.get("token")
    if group is None or not _below(text, len(group.streams)):
        raise UserError("This text is not kept any more; write it again to see its alternatives.")
    assert isinstance(text, int)
    tokens = group.streams[text].tokens
    if not _below(token, len(tokens)):
        raise UserError("There is no such token in this text.")
    chosen = tokens[token]  # type: ignore[index]
    # Labels are for people and may be equal where tokens are not; the same number out of one softmax tells better.
    taken = [probability for _, probability in chosen.alternatives]
    return {
        "text": chosen.text,
        "probability": chosen.probability,
        "alternatives": [[label, probability] for label, probability in chosen.alternatives],
        "taken": taken.index(chosen.probability) if chosen.probability in taken else None,
    }


def in_words(group: Group, clock: Callable[[], float] = time.perf_counter) -> str:
    """How much was written and how fast."""
    count = sum(len(stream.tokens) for stream in group.streams)
    if not count:
        return ""
    seconds = (group.ended[0] if group.ended else clock()) - group.began
    speed = f", {count / seconds:,.0f} a second" if seconds > 0 else ""
    return f"{counted(count, 'token')}{speed}"


def _news(group: Group, number: int, have: Any) -> dict[str, Any]:
    """What is new of one text. ``rest`` stands for a character that was never completed."""
    stream = group.streams[number]
    done = stream.done
    start = have if _below(have, len(stream.tokens) + 1) else 0
    tokens = stream.tokens[start : start + TOKENS_AT_ONCE]
    whole = done and start + len(tokens) == len(stream.tokens)
    return {
        "from": start,
        "tokens": [[token.text, round(token.probability, 4)] for token in tokens],
        "heading": group.headings[number] if number < len(group.headings) else "",
        "prompt": stream.prompt,
        "note": stream.note or "",
        "done": whole,
        "ending": _ending(stream) if whole else "",
        "reason": stream.stop_reason if whole else "",
        "error": stream.error or "" if whole else "",
        "rest": stream.text[sum(len(token.text) for token in stream.tokens) :] if whole else "",
    }


def _ending(stream: "Stream") -> str:
    return ENDINGS.get(stream.stop_reason or "", "")


def _below(value: Any, limit: int) -> bool:
    """Whether a browser sent a whole number from 0 up to ``limit``, exclusive."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < limit
