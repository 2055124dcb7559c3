"""From a prompt to what the model is given for it: which memory, and the prompt as it was taught."""

from collections.abc import Sequence
from dataclasses import dataclass

from microformer.adapters.session import SessionMemory, blend
from microformer.errors import UserError
from microformer.teaching.gate import Decision, checked_gate, gate_of
from microformer.teaching.session import Fact, Session

AS_GOOD = 0.05
"""Gates that open this much less than the widest are blended with it; others stay out."""


@dataclass(frozen=True)
class Recall:
    """What to generate with. ``memory`` is ``None`` when every gate is closed: the base model itself.

    ``reads`` is the prompt that the model reads: as it was taught when a gate opened for a fact, so that another
    wording gets the same answer; else as it was typed. ``decisions[i]`` is what session ``i`` decided.
    """

    memory: SessionMemory | None
    reads: str
    fact: Fact | None
    decisions: tuple[Decision, ...]

    @property
    def open(self) -> bool:
        """Whether any session takes part."""
        return self.memory is not None


def recall(sessions: Sequence[Session], prompt: str, gate: str = "auto", strength: float = 1.0) -> Recall:
    """Decide for one prompt, for all of the text that follows it.

    With ``gate`` "auto" each session's gate decides, and those that open are blended by how wide; "on" takes every
    session for any prompt as it was typed, "off" takes none. ``strength`` 0 is the base model, 1 the memory as taught.
    """
    checked_gate(gate)
    if not 0 <= strength <= 1:
        raise UserError(f"The strength is {strength:g}, but must be between 0 and 1.")
    if gate == "auto":
        decisions = tuple(gate_of(session).decide(prompt) for session in sessions)
    else:
        decisions = tuple(Decision(open=gate == "on", score=1.0) for _ in sessions)
    widest = max((decision.weight for decision in decisions), default=0.0)
    taking_part = [
        (session.memory, decision)
        for session, decision in zip(sessions, decisions, strict=True)
        if decision.open and decision.weight >= widest - AS_GOOD and not session.is_blank
    ]
    total = sum(decision.weight for _, decision in taking_part)
    mixed = blend([(memory, decision.weight / total) for memory, decision in taking_part])
    memory = None if mixed is None else mixed.scaled(strength)
    if memory is None:
        return Recall(None, prompt, None, decisions)
    fact = max((decision for _, decision in taking_part), key=lambda decision: decision.weight).fact
    return Recall(memory, prompt if fact is None else fact.prompt, fact, decisions)


def look_up(sessions: Sequence[Session], prompt: str) -> str | None:
    """What follows ``prompt`` according to the list of facts alone, without a model; ``None`` when nothing fits.

    This is retrieval, the honest ceiling that the memory is compared with. It is never mixed into a model's answer.
    """
    decisions = [gate_of(session).decide(prompt) for session in sessions]
    best = max(decisions, key=lambda decision: decision.weight, default=None)
    return best.fact.completion if best is not None and best.fact is not None else None
