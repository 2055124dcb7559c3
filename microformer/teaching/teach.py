"""Teach, forget and rebuild: generators that yield progress and return a new session.

The session that is handed in is never changed, so a lesson may be dropped at any moment. ``Progress.session`` is what
has been learnt so far, for those who want to keep the first half of a list.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from microformer.adapters.session import SessionMemory
from microformer.checkpoint import Loaded, base_hash
from microformer.errors import UserError
from microformer.teaching.examples import Example, examples_of, opened_tokens
from microformer.teaching.frozen_base import FrozenBase, frozen_base_of
from microformer.teaching.generators import mapped
from microformer.teaching.lesson import Outcome, Step, attempt
from microformer.teaching.session import Fact, Session, blank_memory, checked, roomy
from microformer.teaching.settings import TeachSettings


@dataclass(frozen=True)
class Progress:
    """``done`` of ``of`` facts (or passages) of this request have been through their lesson; ``recited`` of
    ``listed`` in the whole session are said exactly. ``phase`` is "reading", "learning" or "rebuilding"."""

    phase: str
    step: int
    done: int
    of: int
    recited: int
    listed: int
    session: Session


Teaching = Generator[Progress, None, Session]


def teach(loaded: Loaded, session: Session, facts: Sequence[Fact], settings: TeachSettings | None = None) -> Teaching:
    """Teach facts on top of what the session holds, ``settings.group`` at a time.

    The session that is returned lists all of them; ``recited`` tells which the model says exactly. Raises
    ``UserError`` before the first step for a fact that cannot be taught, or a session of another model.
    """
    settings = settings or TeachSettings()
    check_fits(loaded, session)
    unique = list({checked(fact).key: fact for fact in facts}.values())
    if not unique:
        raise UserError("There is nothing to teach; give at least one prompt with its answer.")
    examples_of(loaded, session.with_facts(unique))  # all are looked at before the first is taught
    for start in range(0, len(unique), settings.group):
        group = unique[start : start + settings.group]
        listed = session.with_facts(group)
        new = {fact.key for fact in group}
        numbers = [number for number, fact in enumerate(listed.facts) if fact.key in new]
        session = yield from _learn(loaded, listed, numbers, settings, (start, len(unique)))
    return session


def teach_text(loaded: Loaded, session: Session, text: str, settings: TeachSettings | None = None) -> Teaching:
    """Teach a passage: every token of it, in windows of the context. The same text again is a lesson again."""
    settings = settings or TeachSettings()
    check_fits(loaded, session)
    kept = [(old, known) for old, known in zip(session.passages, session.known, strict=True) if old != text]
    passages, known = (*(old for old, _ in kept), text), (*(said for _, said in kept), False)
    listed = replace(session, passages=passages, known=known)
    return (yield from _learn(loaded, listed, [len(listed.facts) + len(passages) - 1], settings, (0, 1)))


def forget(loaded: Loaded, session: Session, prompt: str, settings: TeachSettings | None = None) -> Teaching:
    """Take one fact out by learning the others again from nothing, so that no trace of it can be left."""
    check_fits(loaded, session)
    return (yield from rebuild(loaded, session.without(prompt), settings))


def rebuild(loaded: Loaded, session: Session, settings: TeachSettings | None = None) -> Teaching:
    """Learn everything on the session's lists again from a blank memory."""
    settings = settings or TeachSettings()
    check_fits(loaded, session)
    blank = session.emptied(loaded.model.config)
    count = len(session.facts) + len(session.passages)
    if not count:
        return blank
    listed = replace(session, memory=blank.memory)
    return (yield from _learn(loaded, listed, range(count), settings, (0, len(session.facts)), "rebuilding"))


def check_fits(loaded: Loaded, session: Session) -> None:
    """Raise ``UserError`` when the session was taught on another model or tokenizer, or the model writes no texts."""
    if not loaded.model.config.continues_text:
        raise UserError("Only a model that continues texts can be taught; this one predicts or answers something.")
    if session.tokenizer_hash != loaded.tokenizer.hash:
        raise UserError("This session was taught on a model with another tokenizer; open the model it was taught on.")
    if session.base_hash != base_hash(loaded.model):
        raise UserError("This session was taught on another model; open the model it was taught on.")


def _learn(
    loaded: Loaded,
    listed: Session,
    new: Sequence[int],
    settings: TeachSettings,
    place: tuple[int, int],
    phase: str = "learning",
) -> Teaching:
    """One lesson for the items ``new`` of the session's lists, in up to three attempts; see ``attempts``."""
    base = frozen_base_of(loaded)
    items = examples_of(loaded, listed)
    owners = [number for number, item in enumerate(items) for _ in item]
    examples = [example for item in items for example in item]
    recited, done, of = sum(listed.recited), *place

    def progress(numbered: tuple[int, Step]) -> Progress:
        nonlocal recited
        number, step = numbered
        if step.number:
            recited = min(step.held, len(listed.facts))
        doing = phase if number == 0 else "rebuilding"
        return Progress(doing, step.number, done, of, recited, len(listed.facts), listed)

    for _ in base.prepare():
        yield Progress("reading", 0, done, of, recited, len(listed.facts), listed)
    chosen = set(new)
    fresh = [number for number, owner in enumerate(owners) if owner in chosen]
    trying = attempts(loaded, base, examples, fresh, listed.memory, settings)
    outcome = yield from mapped(trying, progress)
    weakest = [float("inf")] * len(items)
    for owner, margin in zip(owners, outcome.margins, strict=True):
        weakest[owner] = min(weakest[owner], margin)
    said = tuple(margin >= settings.margin for margin in weakest)
    facts = len(listed.facts)
    learnt = replace(listed, memory=outcome.memory, recited=said[:facts], known=said[facts:])
    taught = min(of, done + len(chosen))
    yield Progress(phase, 0, taught, of, sum(learnt.recited), facts, learnt)
    return learnt


def attempts(
    loaded: Loaded,
    base: FrozenBase,
    examples: Sequence[Example],
    new: Sequence[int],
    memory: SessionMemory,
    settings: TeachSettings,
) -> Generator[tuple[int, Step], None, Outcome]:
    """Try from the present memory; then from nothing behind two blocks; then behind all blocks, held more loosely.

    Ends with the first outcome that holds every example, or else the one that holds most. Yields the number of the
    attempt with each step.
    """
    config = loaded.model.config
    loosely = replace(settings, drift_weight=settings.drift_weight / 10, max_steps=2 * settings.max_steps)
    everything, places = range(len(examples)), sum(len(example.targets) for example in examples)
    opened = opened_tokens(loaded, list(examples))
    plans = [(memory, new, settings)]
    deeper = blank_memory(config, blocks=2)
    if not memory.is_blank or memory.layers != deeper.layers:
        plans.append((deeper, everything, replace(settings, max_steps=2 * settings.max_steps)))
    plans.append((blank_memory(config, blocks=config.n_layers), everything, loosely))
    best: Outcome | None = None
    for number, (start, fresh, how) in enumerate(plans):
        trying = attempt(base, examples, fresh, roomy(replace(start, opened=opened), places), how)

        def numbered(step: Step, number: int = number) -> tuple[int, Step]:
            return number, step

        outcome = yield from mapped(trying, numbered)
        if best is None or outcome.worth(settings.margin) > best.worth(settings.margin):
            best = outcome
        if best.held(settings.margin) == len(examples):
            break
    assert best is not None
    return best
