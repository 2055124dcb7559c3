"""What the Teach tab does: let the model answer, with and without what it was taught, and say which of both it was."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from microformer.errors import UserError
from microformer.generation.settings import Sampling
from microformer.ui.actions import lessons, memories, models, streams
from microformer.ui.actions.lessons import Lesson
from microformer.ui.actions.memories import Memories
from microformer.ui.workspace import Visitor, Workspace

if TYPE_CHECKING:
    from microformer.generation.stream import Stream
    from microformer.teaching.recall import Recall
    from microformer.teaching.session import Session
    from microformer.ui.workspace.engines import Speaker

MOST_TOKENS, MOST_PROMPT = 400, 10_000
QUOTED = 60
CLOSED = "The gate stayed closed: no prompt that was taught is close enough to this one, so the model itself answers."
LOOKUP = "lookup"
"""The ``gate`` of a ``Manner`` that leaves the model out."""
LOOKUP_ABOUT = "Retrieval, for comparison: the list of facts alone, and no model, gives the second answer."


@dataclass(frozen=True)
class Manner:
    """How the model answers on this tab: who decides whether the memory takes part, and how tokens are chosen."""

    gate: str = "auto"
    strength: float = 1.0
    temperature: float = 0.0
    seed: int = 1
    max_tokens: int = 60

    @classmethod
    def of(cls, gate: Any, strength: Any, temperature: Any, seed: Any, max_tokens: Any) -> "Manner":
        """From what the page sent. Raises ``UserError`` for what is out of range."""
        strength = _number(strength, "The strength", 1)
        return cls(
            str(gate),
            strength,
            _number(temperature, "The temperature", 2),
            int(_number(seed, "The seed", 2**31 - 1)),
            int(_number(max_tokens, "The length", MOST_TOKENS)),
        )

    @property
    def sampling(self) -> Sampling:
        return Sampling(max_tokens=self.max_tokens, temperature=self.temperature, seed=self.seed)


def place_of(model: Any) -> str:
    """Where on the page a model's answers are shown: another model's are not shown beside them."""
    return f"teach {model}"


def put_away(workspace: Workspace, visitor: Visitor, model: Any) -> None:
    """Show no answers any more, because the model's memory is another one now."""
    streams.put_away(workspace, visitor, place_of(model))


def ask(workspace: Workspace, visitor: Visitor, model: Any, prompt: Any, manner: Manner) -> str:
    """Let the base model and the taught one answer side by side; the key of the two texts on show."""
    asked = text_of(prompt, MOST_PROMPT)
    speaker = models.speaker_of(workspace, visitor, model)
    known = memories.memories_of(workspace, visitor, speaker.loaded)
    base = speaker.engine.sample(asked, manner.sampling, owner=visitor.browser)
    if manner.gate == LOOKUP:
        answer, about, heading = _looked_up(known, asked), LOOKUP_ABOUT, "From the list, without a model"
    else:
        answer, recalled = _answer(speaker, visitor, known.sessions, asked, manner)
        about, heading = gate_in_words(recalled, manner, known), "With what you taught it"
    headings = ["The model itself", heading]
    return streams.show(workspace, visitor, place_of(model), [base, answer], headings=headings, about=about)


def results(workspace: Workspace, visitor: Visitor, manner: Manner) -> str | None:
    """After a lesson on one fact: the answer from before beside the one of now, with the same seed.

    The key of the two texts; ``None`` when there is nothing (new) to show.
    """
    lesson = lessons.current(workspace, visitor)
    if lesson is None or lesson.shown or lesson.state != "done":
        return None
    lesson.shown = True
    return None if lesson.fact is None else show_both(workspace, visitor, lesson, manner, after=True)


def show_both(workspace: Workspace, visitor: Visitor, lesson: Lesson, manner: Manner, *, after: bool) -> str:
    """Show what the model said before a lesson and, once it is over, what it says after it, with the same seed."""
    assert lesson.fact is not None
    manner = replace(manner, gate="auto") if manner.gate == LOOKUP else manner  # what was learnt is the model's doing
    speaker, prompt = models.speaker_of(workspace, visitor, lesson.model), lesson.fact.prompt
    known = memories.memories_of(workspace, visitor, speaker.loaded)
    before = [lesson.before, *known.sessions[1:]]
    answers = [_answer(speaker, visitor, before, prompt, manner)]
    if after:
        answers.append(_answer(speaker, visitor, known.sessions, prompt, manner))
    about = gate_in_words(answers[-1][1], manner, known) if after else ""
    texts = [stream for stream, _ in answers]
    return streams.show(workspace, visitor, place_of(lesson.model), texts, headings=["Before", "After"], about=about)


def gate_in_words(recalled: "Recall", manner: Manner, known: Memories) -> str:
    """Whether the gate opened, for what, and what the list of facts alone would say."""
    if known.empty:
        return "Nothing was taught yet, so both are the same."
    if manner.gate == "off":
        return "The gate is held shut: this is the model itself, bit for bit."
    if manner.strength == 0:
        return "The strength is 0: this is the model itself, bit for bit."
    weak = "" if manner.strength == 1 else f" The memory takes part at {100 * manner.strength:.0f} % of its strength."
    if not recalled.open:
        return CLOSED
    if manner.gate == "on":
        return f"The gate is held open: the memory takes part, whatever is asked.{weak}"
    names = [kept.name for kept in known.beside]
    whose = ["yours" if i == 0 else f"“{names[i - 1]}”" for i, one in enumerate(recalled.decisions) if one.open]
    of = f" (in {' and '.join(whose)})" if names else ""
    if recalled.fact is None:
        return f"The gate opened for a passage you taught{of}.{weak}"
    return f"The gate opened for “{_short(recalled.fact.prompt)}”{of}.{weak}"


def text_of(value: Any, most: int) -> str:
    """A text that a browser sent."""
    text = value if isinstance(value, str) else ""
    if len(text) > most:
        raise UserError(f"The text has {len(text):,} characters, but {most:,} is the most here; shorten it.")
    return text


def _looked_up(known: Memories, prompt: str) -> "Stream":
    """The answer of the list of facts, which no model takes part in."""
    from microformer.generation.stream import Stream
    from microformer.teaching.recall import look_up

    found = look_up(known.sessions, prompt)
    return Stream.looked_up(prompt, found or "", "looked up" if found else "nothing on the list is about this")


def _answer(
    speaker: "Speaker", visitor: Visitor, sessions: Sequence["Session"], prompt: str, manner: Manner
) -> "tuple[Stream, Recall]":
    from microformer.teaching.recall import recall

    recalled = recall(sessions, prompt, manner.gate, manner.strength)
    stream = speaker.engine.sample(recalled.reads, manner.sampling, recalled.memory, owner=visitor.browser)
    return stream, recalled


def _short(text: str) -> str:
    return text if len(text) <= QUOTED else text[:QUOTED] + "…"


def _number(value: Any, what: str, most: float) -> float:
    """A number from 0 to ``most`` that a browser sent."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not usable or not 0 <= value <= most:
        raise UserError(f"{what} is {value}, but must be from 0 to {most:g}.")
    return float(value)
