"""The methods that the teaching benchmark compares. Each is told one fact after another and then asked."""

import random
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import torch

from microformer.adapters.session import SessionMemory
from microformer.checkpoint import Loaded
from microformer.generation.prompt import prompt_ids
from microformer.teaching.examples import fact_example, opened_tokens
from microformer.teaching.ground import ground_of
from microformer.teaching.lesson import attempt
from microformer.teaching.recall import look_up, recall
from microformer.teaching.session import Fact, Session, blank_memory
from microformer.teaching.settings import TeachSettings
from microformer.teaching.teach import teach

T = TypeVar("T")


class Method(Protocol):
    """What every row of the table can do."""

    def learn(self, fact: Fact) -> None:
        """Take in one more fact."""
        ...

    def reads(self, prompt: str) -> tuple[str, SessionMemory | None]:
        """What the model is given for a prompt: the text it reads, and the memory beside it."""
        ...

    @property
    def memory(self) -> SessionMemory | None:
        """The memory forced on, for the loss on held-out text; ``None`` where there is none."""
        ...


class Ours:
    """Rehearsal, KL to the base, stop test over all facts, and the lexical gate."""

    def __init__(self, loaded: Loaded, *, gate: str = "auto", settings: TeachSettings | None = None) -> None:
        self.loaded, self.gate, self.settings = loaded, gate, settings or TeachSettings()
        self.session = Session.blank(loaded)

    def learn(self, fact: Fact) -> None:
        self.session = finished(teach(self.loaded, self.session, [fact], self.settings))

    def reads(self, prompt: str) -> tuple[str, SessionMemory | None]:
        found = recall([self.session], prompt, self.gate)
        return found.reads, found.memory

    @property
    def memory(self) -> SessionMemory | None:
        return self.session.memory.scaled(1.0)


class Naive:
    """Train the same adapters on each new fact until it is learnt, and on nothing else."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.settings = TeachSettings(rehearsal=0, drift_weight=0)
        self._memory = blank_memory(loaded.model.config)

    def learn(self, fact: Fact) -> None:
        ground, example = ground_of(self.loaded), fact_example(self.loaded, fact)
        finished(ground.prepare())
        opened = {*self._memory.opened, *opened_tokens(self.loaded, [example])}
        start = replace(self._memory, opened=tuple(sorted(opened)))
        self._memory = finished(attempt(ground, [example], [0], start, self.settings)).memory

    def reads(self, prompt: str) -> tuple[str, SessionMemory | None]:
        return prompt, self.memory

    @property
    def memory(self) -> SessionMemory | None:
        return self._memory.scaled(1.0)


class Radius(Ours):
    """Our memory behind a codebook's gate (GRACE, arXiv:2211.11031): a prompt counts as taught when the model's mean
    hidden state on it lies within half the distance between the two nearest taught ones."""

    def learn(self, fact: Fact) -> None:
        super().learn(fact)
        self.keys = torch.stack([self._state(each.prompt) for each in self.session.facts])
        distances = torch.cdist(self.keys, self.keys)
        distances.fill_diagonal_(float("inf"))
        nearest = float(distances.min())
        self.radius = nearest / 2 if nearest != float("inf") else float(self.keys.norm(dim=1).mean()) / 4

    def reads(self, prompt: str) -> tuple[str, SessionMemory | None]:
        distances = (self.keys - self._state(prompt)).norm(dim=1)
        if float(distances.min()) > self.radius:
            return prompt, None
        return self.session.facts[int(distances.argmin())].prompt, self.memory

    def _state(self, prompt: str) -> torch.Tensor:
        ids = prompt_ids(self.loaded.tokenizer, prompt)[-self.loaded.model.config.max_seq_len :]
        with torch.inference_mode():
            return self.loaded.model.hidden(torch.tensor([ids]))[0].mean(0)


class Lookup:
    """The list of facts behind the same gate, without a model: what retrieval gives, and the ceiling."""

    def __init__(self, loaded: Loaded) -> None:
        self.session = Session.blank(loaded)

    def learn(self, fact: Fact) -> None:
        self.session = self.session.with_facts([fact])

    def reads(self, prompt: str) -> tuple[str, SessionMemory | None]:
        return prompt, None

    def says(self, prompt: str) -> str | None:
        """The answer on the list."""
        return look_up([self.session], prompt)

    @property
    def memory(self) -> SessionMemory | None:
        return None


def make_rows(loaded: Loaded) -> dict[str, Any]:
    """The rows of the table by name, each a function that makes a fresh method."""
    plain = TeachSettings()
    return {
        "naive fine-tuning": lambda: Naive(loaded),
        "+ rehearsal": lambda: Ours(loaded, gate="on", settings=replace(plain, drift_weight=0)),
        "+ KL to the base": lambda: Ours(loaded, gate="on"),
        "+ gate (ours)": lambda: Ours(loaded),
        "radius gate (GRACE)": lambda: Radius(loaded),
        "lookup": lambda: Lookup(loaded),
    }


def finished(work: Generator[Any, None, T]) -> T:
    """What a generator returns in the end."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def shuffled(facts: Sequence[Fact], order: int) -> list[Fact]:
    """The facts in another order for each number."""
    mixed = list(facts)
    random.Random(order).shuffle(mixed)
    return mixed
