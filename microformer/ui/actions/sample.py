"""What the Sample tab does: let a model go on from a prompt, with what this browser has taught it or without."""

import secrets
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microformer.errors import UserError
from microformer.generation.settings import Sampling
from microformer.ui.actions import models, streams
from microformer.ui.actions.answers import CLOSED
from microformer.ui.actions.memories import Memories, memories_of
from microformer.ui.workspace import Visitor, Workspace

if TYPE_CHECKING:
    from microformer.teaching.recall import Recall

PLACE = "sample"
MOST_TOKENS, MOST_SAMPLES, MOST_PROMPT = 2000, 8, 100_000
"""What the page offers at once; the command line goes further."""
QUOTED = 60
BEAMS = 4


@dataclass(frozen=True)
class Begun:
    """Texts that are being written: the key of their group, and the seed of the first."""

    key: str
    seed: int


def begin(
    workspace: Workspace,
    visitor: Visitor,
    model: Any,
    checkpoint: Any,
    prompt: Any,
    values: Mapping[str, Any],
    gate: Any = "auto",
) -> Begun:
    """Start to write, and return at once. ``values`` are settings of ``Sampling`` by name; without a seed one is drawn.

    Raises ``UserError`` for a setting out of its range, and for a model that is not there or not theirs.
    """
    sampling = checked(values)
    if not isinstance(prompt, str):
        prompt = ""
    if len(prompt) > MOST_PROMPT:
        raise UserError(f"The prompt has {len(prompt):,} characters, but {MOST_PROMPT:,} is the most; shorten it.")
    speaker = models.speaker_of(workspace, visitor, model, checkpoint)
    found = recalled(memories_of(workspace, visitor, speaker.loaded), prompt, gate)
    reads, memory = (prompt, None) if found is None else (found.reads, found.memory)
    texts = speaker.engine.samples(reads, sampling, memory, owner=visitor.browser)
    headings = [f"Seed {text.seed}" for text in texts] if len(texts) > 1 else []
    key = streams.show(workspace, visitor, PLACE, texts, headings=headings, about=gate_in_words(found, gate))
    workspace.mark(visitor, "sample")
    return Begun(key, texts[0].seed)


def predicted(workspace: Workspace, visitor: Visitor, model: Any, checkpoint: Any, text: Any) -> dict[str, Any] | None:
    """What a model that judges or answers whole texts makes of one (see ``generation.predict``); ``None`` for one that
    goes on with texts."""
    from microformer.tasks.choose import task_of
    from microformer.tasks.language import LanguageModelling

    speaker = models.speaker_of(workspace, visitor, model, checkpoint)
    loaded, task = speaker.loaded, task_of(speaker.loaded.config)
    if isinstance(task, LanguageModelling):
        return None
    if not isinstance(text, str) or len(text) > MOST_PROMPT:
        raise UserError(f"The text may have {MOST_PROMPT:,} characters at most; shorten it.")

    def work() -> Generator[float, None, dict[str, Any]]:
        from microformer.generation.predict import predict

        yield 0.0
        return predict(loaded.model, loaded.tokenizer, task, text, beams=BEAMS)

    found = speaker.engine.run(work(), owner=visitor.browser).result()
    workspace.mark(visitor, "sample")
    return found


def checked(values: Mapping[str, Any]) -> Sampling:
    """Settings within what the page offers, with a seed."""
    given = dict(values)
    if given.get("seed") is None:
        given["seed"] = secrets.randbelow(2**31)
    sampling = Sampling(**given)
    for name, most in (("max_tokens", MOST_TOKENS), ("num_samples", MOST_SAMPLES)):
        if getattr(sampling, name) > most:
            raise UserError(
                f"{name} is {getattr(sampling, name)}, but {most} is the most here; the command has no limit."
            )
    return sampling


def recalled(memories: Memories, prompt: str, gate: Any) -> "Recall | None":
    """What the visitor's memories make of a prompt; ``None`` when they are empty."""
    if memories.empty:
        return None
    from microformer.teaching.recall import recall

    return recall(memories.sessions, prompt, str(gate))


def gate_in_words(found: "Recall | None", gate: Any) -> str:
    """Whether the gate opened, and for what; empty when nothing was taught."""
    if found is None:
        return ""
    if gate == "off":
        return "Your session is off: this is the model itself."
    if not found.open:
        return CLOSED
    if gate == "on":
        return "Your session takes part, because the gate is held open."
    if found.fact is None:
        return "The gate opened for a passage you taught."
    prompt = found.fact.prompt
    return f"The gate opened for “{prompt[:QUOTED]}{'…' if len(prompt) > QUOTED else ''}”, which you taught."


def stop(workspace: Workspace, visitor: Visitor) -> None:
    """Stop the texts that are being written; what is there stays."""
    streams.stop(workspace, visitor, PLACE)
