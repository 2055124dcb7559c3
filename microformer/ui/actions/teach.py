"""What the Teach tab does: teach, forget, reset, save and load."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microformer.errors import UserError
from microformer.ui.actions import answers, lessons, memories, models
from microformer.ui.actions.answers import MOST_PROMPT, Manner, show_both, text_of
from microformer.ui.actions.lessons import Lesson
from microformer.ui.actions.memories import Memories
from microformer.ui.workspace import Visitor, Workspace

if TYPE_CHECKING:
    from microformer.teaching.session import Session
    from microformer.teaching.settings import TeachSettings

MOST_PASSAGE = 20_000


def teach_fact(
    workspace: Workspace, visitor: Visitor, model: Any, prompt: Any, answer: Any, manner: Manner | None = None
) -> Lesson:
    """Teach one fact, while the answer from before is being written on the page."""
    from microformer.teaching.session import Fact, checked
    from microformer.teaching.teach import teach

    manner = manner or Manner()
    fact = checked(Fact(text_of(prompt, MOST_PROMPT), text_of(answer, MOST_PROMPT)))
    lesson = lessons.begin(
        workspace, visitor, model, "fact", lambda loaded, session: teach(loaded, session, [fact]), fact
    )
    show_both(workspace, visitor, lesson, manner, after=False)
    return lesson


def teach_list(workspace: Workspace, visitor: Visitor, model: Any, uploaded: Any) -> Lesson:
    """Teach the facts of an uploaded file (JSON lines, or a table)."""
    from microformer.teaching.lists import read_facts
    from microformer.teaching.teach import teach

    if not uploaded:
        raise UserError("There is no file yet; choose a list with a prompt and an answer on each line.")
    facts = read_facts(Path(str(uploaded)))
    lesson = lessons.begin(workspace, visitor, model, "list", lambda loaded, session: teach(loaded, session, facts))
    answers.put_away(workspace, visitor, model)  # they are of another lesson than the table that will be shown
    return lesson


def teach_passage(
    workspace: Workspace, visitor: Visitor, model: Any, text: Any, settings: "TeachSettings | None" = None
) -> Lesson:
    """Teach a passage word for word; ``settings`` are those of the lesson, the defaults unless given."""

    from microformer.teaching.teach import teach_text

    passage = text_of(text, MOST_PASSAGE)
    if not passage.strip():
        raise UserError("The passage is empty; paste what the model shall know by heart.")
    return lessons.begin(
        workspace, visitor, model, "passage", lambda loaded, session: teach_text(loaded, session, passage, settings)
    )


def correct(workspace: Workspace, visitor: Visitor, model: Any, old: Any, prompt: Any, answer: Any) -> Lesson:
    """Change a fact that was taught: ``old`` is the prompt it has now."""
    from microformer.teaching.session import Fact, checked
    from microformer.teaching.teach import Teaching, forget, teach

    fact, gone = checked(Fact(text_of(prompt, MOST_PROMPT), text_of(answer, MOST_PROMPT))), text_of(old, MOST_PROMPT)

    def make(loaded: Any, session: "Session") -> "Teaching":
        known = session.find(gone)
        if known is not None and known.key != fact.key:
            session = yield from forget(loaded, session, gone)
        return (yield from teach(loaded, session, [fact]))

    return lessons.begin(workspace, visitor, model, "fact", make, fact)


def forget(workspace: Workspace, visitor: Visitor, model: Any, prompt: Any) -> Lesson:
    """Take one fact out; the others are learnt again from nothing, so that no trace of it is left."""
    from microformer.teaching.teach import forget

    gone = text_of(prompt, MOST_PROMPT)
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


def memories_for(workspace: Workspace, visitor: Visitor, model: Any) -> Memories:
    """What the visitor taught this model."""
    return memories.memories_of(workspace, visitor, models.speaker_of(workspace, visitor, model).loaded)


def reset(workspace: Workspace, visitor: Visitor, model: Any) -> int:
    """Put away all that was taught this model; see ``memories.reset``."""
    lessons.put_away_last(workspace, visitor)
    gone = memories.reset(workspace, visitor, models.speaker_of(workspace, visitor, model).loaded)
    answers.put_away(workspace, visitor, model)
    return gone


def undo(workspace: Workspace, visitor: Visitor, model: Any) -> int:
    """Bring back what was put away last; see ``memories.undo``."""
    lessons.put_away_last(workspace, visitor)
    back = memories.undo(workspace, visitor, models.speaker_of(workspace, visitor, model).loaded)
    answers.put_away(workspace, visitor, model)
    return back


def export(workspace: Workspace, visitor: Visitor, model: Any, name: Any) -> Path:
    """The visitor's memory of this model as one file."""
    return memories.export(workspace, visitor, models.speaker_of(workspace, visitor, model).loaded, name)


def load(workspace: Workspace, visitor: Visitor, model: Any, uploaded: Any, role: Any) -> str:
    """Load a memory from a file, as the own or beside it; its name."""
    lessons.put_away_last(workspace, visitor)
    loaded = models.speaker_of(workspace, visitor, model).loaded
    name = memories.load(workspace, visitor, loaded, uploaded, role).name
    answers.put_away(workspace, visitor, model)
    return name


def unload(workspace: Workspace, visitor: Visitor, model: Any, id: Any) -> str:
    """Take a memory away that was loaded beside the own; its name."""
    return memories.unload(workspace, visitor, models.speaker_of(workspace, visitor, model).loaded, id)
