"""What the Teach tab does: teach, ask with and without what was taught, forget, reset, save and load."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
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
    from microformer.teaching.settings import TeachSettings
    from microformer.ui.workspace.engines import Speaker

MOST_TOKENS, MOST_PROMPT, MOST_PASSAGE = 400, 10_000, 20_000
QUOTED = 60
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


def teach_fact(
    workspace: Workspace, visitor: Visitor, model: Any, prompt: Any, answer: Any, manner: Manner | None = None
) -> Lesson:
    """Teach one fact, while the answer from before is being written on the page."""
    from microformer.teaching.session import Fact, checked
    from microformer.teaching.teach import teach

    manner = manner or Manner()
    fact = checked(Fact(_text(prompt, MOST_PROMPT), _text(answer, MOST_PROMPT)))
    lesson = lessons.begin(
        workspace, visitor, model, "fact", lambda loaded, session: teach(loaded, session, [fact]), fact
    )
    _show_both(workspace, visitor, lesson, manner, after=False)
    return lesson


def teach_list(workspace: Workspace, visitor: Visitor, model: Any, uploaded: Any) -> Lesson:
    """Teach the facts of an uploaded file (JSON lines, or a table)."""
    from microformer.teaching.lists import read_facts
    from microformer.teaching.teach import teach

    if not uploaded:
        raise UserError("There is no file yet; choose a list with a prompt and an answer on each line.")
    facts = read_facts(Path(str(uploaded)))
    lesson = lessons.begin(workspace, visitor, model, "list", lambda loaded, session: teach(loaded, session, facts))
    streams.put_away(workspace, visitor, place_of(model))  # it is of another lesson than the table that will be shown
    return lesson


def teach_passage(
    workspace: Workspace, visitor: Visitor, model: Any, text: Any, settings: "TeachSettings | None" = None
) -> Lesson:
    """Teach a passage word for word; ``settings`` are those of the lesson, the defaults unless given."""
    from microformer.teaching.teach import teach_text

    passage = _text(text, MOST_PASSAGE)
    if not passage.strip():
        raise UserError("The passage is empty; paste what the model shall know by heart.")
    return lessons.begin(
        workspace, visitor, model, "passage", lambda loaded, session: teach_text(loaded, session, passage, settings)
    )


def correct(workspace: Workspace, visitor: Visitor, model: Any, old: Any, prompt: Any, answer: Any) -> Lesson:
    """Change a fact that was taught: ``old`` is the prompt it has now."""
    from microformer.teaching.session import Fact, checked
    from microformer.teaching.teach import Teaching, forget, teach

    fact, gone = checked(Fact(_text(prompt, MOST_PROMPT), _text(answer, MOST_PROMPT))), _text(old, MOST_PROMPT)

    def make(loaded: Any, session: "Session") -> "Teaching":
        known = session.find(gone)
        if known is not None and known.key != fact.key:
            session = yield from forget(loaded, session, gone)
        return (yield from teach(loaded, session, [fact]))

    return lessons.begin(workspace, visitor, model, "fact", make, fact)


def forget(workspace: Workspace, visitor: Visitor, model: Any, prompt: Any) -> Lesson:
    """Take one fact out; the others are learnt again from nothing, so that no trace of it is left."""
    from microformer.teaching.teach import forget

    gone = _text(prompt, MOST_PROMPT)
    loaded = models.speaker_of(workspace, visitor, model).loaded
    memories.memories_of(workspace, visitor, loaded).own.session.without(gone)  # it must be there
    return lessons.begin(workspace, visitor, model, "forget", lambda loaded, session: forget(loaded, session, gone))


def forget_passage(workspace: Workspace, visitor: Visitor, model: Any, number: Any) -> Lesson:
    """Take one passage out, by its place in the list."""
    from microformer.teaching.teach import rebuild

    loaded = models.speaker_of(workspace, visitor, model).loaded
    passages = memories.memories_of(workspace, visitor, loaded).own.session.passages
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(passages):
        raise UserError("This passage is not there (any more); look at the list again.")

    def make(loaded: Any, session: "Session") -> Any:
        kept = [i for i in range(len(session.passages)) if i != number]
        fewer = replace(
            session,
            passages=tuple(session.passages[i] for i in kept),
            known=tuple(session.known[i] for i in kept),
        )
        return rebuild(loaded, fewer)

    return lessons.begin(workspace, visitor, model, "forget", make)


def ask(workspace: Workspace, visitor: Visitor, model: Any, prompt: Any, manner: Manner) -> str:
    """Let the base model and the taught one answer side by side; the key of the two texts on show."""
    asked = _text(prompt, MOST_PROMPT)
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
    return None if lesson.fact is None else _show_both(workspace, visitor, lesson, manner, after=True)


def memories_for(workspace: Workspace, visitor: Visitor, model: Any) -> Memories:
    """What the visitor taught this model."""
    return memories.memories_of(workspace, visitor, models.speaker_of(workspace, visitor, model).loaded)


def reset(workspace: Workspace, visitor: Visitor, model: Any) -> int:
    """Put away all that was taught this model; see ``memories.reset``."""
    lessons.refuse_while_learning(workspace, visitor)
    return memories.reset(workspace, visitor, models.speaker_of(workspace, visitor, model).loaded)


def undo(workspace: Workspace, visitor: Visitor, model: Any) -> int:
    """Bring back what was put away last; see ``memories.undo``."""
    lessons.refuse_while_learning(workspace, visitor)
    return memories.undo(workspace, visitor, models.speaker_of(workspace, visitor, model).loaded)


def export(workspace: Workspace, visitor: Visitor, model: Any, name: Any) -> Path:
    """The visitor's memory of this model as one file."""
    return memories.export(workspace, visitor, models.speaker_of(workspace, visitor, model).loaded, name)


def load(workspace: Workspace, visitor: Visitor, model: Any, uploaded: Any, role: Any) -> str:
    """Load a memory from a file, as the own or beside it; its name."""
    lessons.refuse_while_learning(workspace, visitor)
    loaded = models.speaker_of(workspace, visitor, model).loaded
    return memories.load(workspace, visitor, loaded, uploaded, role).name


def unload(workspace: Workspace, visitor: Visitor, model: Any, id: Any) -> str:
    """Take a memory away that was loaded beside the own; its name."""
    return memories.unload(workspace, visitor, models.speaker_of(workspace, visitor, model).loaded, id)


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
        return "The gate stayed closed: this is not about anything that was taught, so the model itself answers."
    if manner.gate == "on":
        return f"The gate is held open: the memory takes part, whatever is asked.{weak}"
    names = [kept.name for kept in known.beside]
    whose = ["yours" if i == 0 else f"“{names[i - 1]}”" for i, one in enumerate(recalled.decisions) if one.open]
    of = f" (in {' and '.join(whose)})" if names else ""
    if recalled.fact is None:
        return f"The gate opened for a passage you taught{of}.{weak}"
    return f"The gate opened for “{_short(recalled.fact.prompt)}”{of}.{weak}"


def _show_both(workspace: Workspace, visitor: Visitor, lesson: Lesson, manner: Manner, *, after: bool) -> str:
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


def _text(value: Any, most: int) -> str:
    """A text that a browser sent."""
    text = value if isinstance(value, str) else ""
    if len(text) > most:
        raise UserError(f"The text has {len(text):,} characters, but {most:,} is the most here; shorten it.")
    return text


def _number(value: Any, what: str, most: float) -> float:
    """A number from 0 to ``most`` that a browser sent."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not usable or not 0 <= value <= most:
        raise UserError(f"{what} is {value}, but must be from 0 to {most:g}.")
    return float(value)
