"""The gate: whether a prompt is about something that was taught, decided once, before the first token.

It looks at letters, not at the model: a tiny model's hidden state mostly tells the last characters apart. A closed gate
means that the memory is not handed to the model at all, so the answer is the base model's bit for bit.
"""

import functools
import re
from dataclasses import dataclass

from microformer.errors import UserError
from microformer.teaching.keys import key, typed_plainly, words
from microformer.teaching.session import Fact, Session
from microformer.teaching.wording import COMMON, GramWeights, content, corrected, follows

GATES = ("auto", "on", "off")
THRESHOLD = 0.5
"""Lowest similarity that opens the gate to a wording that was not taught: half the prompt may be wrapping."""
QUOTED_WORDS = 4
"""So many words of a passage in a row open the gate to it."""


@dataclass(frozen=True)
class Decision:
    """``score`` is 1 for a prompt as it was taught, and the similarity for another wording.

    ``passage`` is the number of a passage that the prompt begins or quotes.
    """

    open: bool
    score: float = 0.0
    fact: Fact | None = None
    passage: int | None = None

    @property
    def weight(self) -> float:
        """How much the gate lets through: 0 when it is closed."""
        return self.score if self.open else 0.0


CLOSED = Decision(open=False)


class LexicalGate:
    """The gate of one session. Opens for a prompt that has the content words of a taught one, in their order, with at
    most one slip of the fingers among them, that adds none between or after them, and that is similar as a whole.
    Accents may be missing everywhere, but where the plain word was taught as well."""

    def __init__(self, facts: tuple[Fact, ...], passages: tuple[str, ...] = ()) -> None:
        self.facts = {fact.key: fact for fact in facts}
        self.spelled: dict[tuple[str, ...], Fact] = {words(fact.key): fact for fact in facts if words(fact.key)}
        self.needed = {spelling: content(fact.key) for spelling, fact in self.spelled.items()}
        self.known = frozenset(word for spelling in self.spelled for word in spelling)
        self.weights = GramWeights([" ".join(spelling) for spelling in self.spelled])
        self.passages = [words(text) for text in passages]
        self.accented = typed_plainly(self.known.union(*self.passages))

    def decide(self, prompt: str) -> Decision:
        """Whether to open, and for what."""
        wanted = key(prompt)
        if wanted in self.facts:
            return Decision(True, 1.0, self.facts[wanted])
        spelled = words(prompt)
        if not spelled:
            return CLOSED
        spelled = tuple(word if word in self.known else self.accented.get(word, word) for word in spelled)
        return self._at_the_end(prompt, spelled) or self._in_a_passage(spelled) or self._in_other_words(spelled)

    def _at_the_end(self, prompt: str, spelled: tuple[str, ...]) -> Decision | None:
        """A taught prompt behind other text: after a sentence or a colon, or with three words or more."""
        for cut in re.finditer(r"[\n.:!?]\s*", prompt):
            fact = self.facts.get(key(prompt[cut.end() :]))
            if fact is not None:
                return Decision(True, 1.0, fact)
        for start in range(len(spelled) - 2):
            fact = self.spelled.get(spelled[start:])
            if fact is not None and not COMMON.issuperset(spelled[start:]):
                return Decision(True, 1.0, fact)
        return None

    def _in_a_passage(self, spelled: tuple[str, ...]) -> Decision | None:
        """The beginning of a passage, or a few words of it in a row."""
        for number, passage in enumerate(self.passages):
            begins = len(spelled) >= 2 and passage[: len(spelled)] == spelled
            quotes = len(spelled) >= QUOTED_WORDS and any(
                passage[start : start + len(spelled)] == spelled for start in range(len(passage))
            )
            if begins or quotes:
                return Decision(True, 1.0, passage=number)
        return None

    def _in_other_words(self, spelled: tuple[str, ...]) -> Decision:
        """The most similar of the taught prompts that this one may stand for."""
        best, present = CLOSED, set(spelled)
        for taught, needed in self.needed.items():
            if sum(word not in present for word in needed) > 1:
                continue  # more than one slip can explain; most facts end here
            likely = corrected(spelled, taught, self.known)
            if not follows(likely, needed):
                continue
            score = self.weights.cosine(" ".join(likely), " ".join(taught))
            if score >= THRESHOLD and score > best.score:
                best = Decision(True, score, self.spelled[taught])
        return best


@functools.lru_cache(maxsize=64)
def _gate(facts: tuple[Fact, ...], passages: tuple[str, ...]) -> LexicalGate:
    return LexicalGate(facts, passages)


def gate_of(session: Session) -> LexicalGate:
    """The gate of a session, kept while it is in use."""
    return _gate(session.facts, session.passages)


def checked_gate(gate: str) -> str:
    """``gate`` itself, or ``UserError`` when there is no such setting."""
    if gate not in GATES:
        raise UserError(f"The gate is {gate!r}, but must be one of {', '.join(GATES)}.")
    return gate
