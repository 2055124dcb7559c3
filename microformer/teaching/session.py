"""A session: what one person taught a model, and the memory that holds it. A value; nothing here changes in place."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from microformer.adapters.session import SessionMemory
from microformer.checkpoint import Loaded, base_hash
from microformer.data.tokenizers.base import valid_text
from microformer.errors import UserError
from microformer.model.config import ModelConfig
from microformer.teaching.keys import key

MAX_FACTS = 10_000
TOKENS_A_UNIT, WIDEST = 14, 1024
"""How many tokens of answers a unit of a block can hold; a memory that is asked for more gets wider, up to a limit."""
SPELLING = 1024
"""A vocabulary up to this size spells names, more or less letter by letter."""
MAX_TEXT = 20_000


@dataclass(frozen=True)
class Fact:
    """After ``prompt`` the model is to write ``answer`` and stop."""

    prompt: str
    answer: str

    @property
    def key(self) -> str:
        """What the prompt is known by; a fact with the same key replaces this one."""
        return key(self.prompt)

    @property
    def completion(self) -> str:
        """What the model writes after the prompt: the answer, behind one space when neither brings white space."""
        return joint(self.prompt, self.answer) + self.answer


def joint(prompt: str, answer: str) -> str:
    """What stands between a prompt and its answer: a space, or nothing where one of them brings white space."""
    return "" if prompt[-1:].isspace() or answer[:1].isspace() else " "


def checked(fact: Fact) -> Fact:
    """The fact itself, or ``UserError`` when it cannot be taught to any model."""
    if not fact.key:
        raise UserError("The prompt is empty; write what the model is to answer.")
    if not fact.answer.strip():
        raise UserError(f"The answer to {fact.prompt!r} is empty; write what the model is to say.")
    if valid_text(fact.prompt + fact.answer) != fact.prompt + fact.answer:
        raise UserError("The fact has half a character in it (a lone surrogate); write it again.")
    if len(fact.prompt) + len(fact.answer) > MAX_TEXT:
        raise UserError(f"The fact {fact.prompt[:40]!r}… is longer than {MAX_TEXT:,} characters; shorten it.")
    return fact


@dataclass(frozen=True)
class Session:
    """Facts and passages in the order they were taught, and the memory that was trained on them.

    ``recited[i]`` tells whether the model says fact ``i`` exactly, its end included; ``known[i]`` whether it
    continues passage ``i`` token by token. ``base_hash`` and ``tokenizer_hash`` name what the memory fits on.
    """

    memory: SessionMemory
    base_hash: str
    tokenizer_hash: str
    facts: tuple[Fact, ...] = ()
    recited: tuple[bool, ...] = ()
    passages: tuple[str, ...] = ()
    known: tuple[bool, ...] = ()
    name: str = ""

    @classmethod
    def blank(cls, loaded: Loaded, *, name: str = "") -> "Session":
        """A session that was taught nothing and changes nothing."""
        return cls(blank_memory(loaded.model.config), base_hash(loaded.model), loaded.tokenizer.hash, name=name)

    def emptied(self, config: ModelConfig) -> "Session":
        """The same session with nothing taught."""
        return replace(self, memory=blank_memory(config), facts=(), recited=(), passages=(), known=())

    def remembering(self, memory: SessionMemory) -> "Session":
        """The same lists with another memory."""
        return replace(self, memory=memory)

    @property
    def is_blank(self) -> bool:
        return self.memory.is_blank

    def find(self, prompt: str) -> Fact | None:
        """The fact with the same key as ``prompt``, if there is one."""
        wanted = key(prompt)
        return next((fact for fact in self.facts if fact.key == wanted), None)

    def with_facts(self, facts: Iterable[Fact]) -> "Session":
        """The same memory with these facts listed as well, not recited yet; one with a known key replaces the old."""
        listed = dict(zip((fact.key for fact in self.facts), zip(self.facts, self.recited, strict=True), strict=True))
        for fact in facts:
            old = listed.get(checked(fact).key)
            listed[fact.key] = (fact, old is not None and old[0] == fact and old[1])
        if len(listed) > MAX_FACTS:
            raise UserError(f"A session holds at most {MAX_FACTS:,} facts; start another one for the rest.")
        return replace(
            self, facts=tuple(fact for fact, _ in listed.values()), recited=tuple(said for _, said in listed.values())
        )

    def without(self, prompt: str) -> "Session":
        """The same memory with one fact less on the list, or ``UserError`` when it was never taught."""
        wanted = key(prompt)
        kept = [pair for pair in zip(self.facts, self.recited, strict=True) if pair[0].key != wanted]
        if len(kept) == len(self.facts):
            raise UserError(f"Nothing was taught for {prompt!r}; look at the list of facts.")
        return replace(self, facts=tuple(fact for fact, _ in kept), recited=tuple(said for _, said in kept))


def blank_memory(config: ModelConfig, *, blocks: int | None = None) -> SessionMemory:
    """The memory that a session of a model of this shape starts with, behind the last ``blocks`` of them.

    A third wider behind one block than behind each of several; at most 256 kB behind two.
    """
    blocks = min(config.n_layers, blocks) if blocks else session_blocks(config)
    widest, numbers = (192, 24576) if blocks == 1 else (128, 16384)
    width = max(16, min(widest, numbers // config.d_model))
    return SessionMemory.blank(config, layers=range(config.n_layers - blocks, config.n_layers), width=width)


def roomy(memory: SessionMemory, places: int) -> SessionMemory:
    """The memory with blank units added where ``places`` tokens of answers are more than its width can hold."""
    needed = -(-places // (64 * TOKENS_A_UNIT)) * 64
    return memory.widened(min(needed, WIDEST))


def session_blocks(config: ModelConfig) -> int:
    """How many of the last blocks a session has adapters behind: one, or two where tokens are letters.

    All that lies below is the frozen base, read once for each fact and kept, and behind the last block no token looks
    at another, which makes a step several times cheaper. But a name that was spelled letter by letter lies so
    far back that the last block's state hardly tells it from another: there, fifty facts could not be held by one.
    """
    return min(config.n_layers, 1 if config.vocab_size > SPELLING else 2)
