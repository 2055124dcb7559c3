"""The methods that the teaching benchmark compares: learners are told one fact after another, rows ask them."""

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from microformer.adapters.lora import add_lora
from microformer.adapters.session import SessionMemory
from microformer.checkpoint import Loaded
from microformer.generation.prompt import prompt_ids
from microformer.teaching.examples import fact_example, opened_tokens
from microformer.teaching.frozen_base import Predictions, frozen_base_of
from microformer.teaching.generators import finished
from microformer.teaching.lesson import attempt, loss_gradient, place_margins
from microformer.teaching.recall import look_up, recall
from microformer.teaching.session import Fact, Session, blank_memory
from microformer.teaching.settings import TeachSettings
from microformer.teaching.teach import teach

Reads = tuple[str, SessionMemory | None]
"""What a model is given for a prompt: the text it reads, and the memory beside it."""


class Learner(Protocol):
    """What is told facts. ``loaded`` is the model that is asked, ``memory`` what stands beside it, forced on."""

    loaded: Loaded

    def learn(self, fact: Fact) -> None:
        """Take in one more fact."""
        ...

    @property
    def memory(self) -> SessionMemory | None: ...


class Ours:
    """Rehearsal, KL to the base, and the stop test over all facts."""

    def __init__(self, loaded: Loaded, settings: TeachSettings | None = None) -> None:
        self.loaded, self.settings = loaded, settings or TeachSettings()
        self.session = Session.blank(loaded)

    def learn(self, fact: Fact) -> None:
        self.session = finished(teach(self.loaded, self.session, [fact], self.settings))

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
        base, example = frozen_base_of(self.loaded), fact_example(self.loaded, fact)
        finished(base.prepare())
        opened = {*self._memory.opened, *opened_tokens(self.loaded, [example])}
        start = replace(self._memory, opened=tuple(sorted(opened)))
        self._memory = finished(attempt(base, [example], [0], start, self.settings)).memory

    @property
    def memory(self) -> SessionMemory | None:
        return self._memory.scaled(1.0)


class LowRank:
    """LoRA of rank 8 in every block of a copy of the model, trained by Adam on each new fact until it is learnt."""

    memory = None

    def __init__(self, loaded: Loaded) -> None:
        model = copy.deepcopy(loaded.model).requires_grad_(False)
        model.config = replace(model.config, lora_rank=8)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            add_lora(model)
        self.loaded = replace(loaded, model=model)
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.Adam(self.weights, lr=3e-3)

    def learn(self, fact: Fact) -> None:
        example, model, margin = fact_example(self.loaded, fact), self.loaded.model, TeachSettings().margin
        model.logit_bias[list(opened_tokens(self.loaded, [example]))] = 0.0
        tokens, targets = torch.tensor([example.tokens]), torch.tensor(example.targets)
        for _ in range(200):
            hidden = model.hidden(tokens)[0, example.first :]
            found = Predictions(hidden, model.logits(hidden).detach(), torch.zeros_like(targets), targets)
            margins = place_margins(found)
            if float(margins.min()) >= margin:
                break
            gradient = loss_gradient(found, margins, 2 * margin, model.head.detach())
            gradients = torch.autograd.grad(hidden, self.weights, gradient)
            for weight, one in zip(self.weights, gradients, strict=True):
                weight.grad = one
            self.optimizer.step()


def always(learner: Any) -> Callable[[str], Reads]:
    """The memory takes part in every text."""
    return lambda prompt: (prompt, learner.memory)


def gated(learner: Ours) -> Callable[[str], Reads]:
    """The product's own gate decides."""

    def reads(prompt: str) -> Reads:
        found = recall([learner.session], prompt)
        return found.reads, found.memory

    return reads


def codebook(learner: Ours) -> Callable[[str], Reads]:
    """A codebook's gate (GRACE, arXiv:2211.11031): a prompt counts as taught when the model's mean hidden state on it
    lies within half the distance between the two nearest taught ones."""
    loaded, facts = learner.loaded, learner.session.facts

    def state(prompt: str) -> torch.Tensor:
        ids = prompt_ids(loaded.tokenizer, prompt)[-loaded.model.config.max_seq_len :]
        with torch.inference_mode():
            return loaded.model.hidden(torch.tensor([ids]))[0].mean(0)

    keys = torch.stack([state(fact.prompt) for fact in facts])
    apart = torch.cdist(keys, keys).fill_diagonal_(float("inf")).min()
    radius = apart / 2 if len(facts) > 1 else keys.norm() / 4

    def reads(prompt: str) -> Reads:
        distances = (keys - state(prompt)).norm(dim=1)
        if distances.min() > radius:
            return prompt, None
        return facts[int(distances.argmin())].prompt, learner.memory

    return reads


def lookup(learner: Ours) -> Callable[[str], str | None]:
    """The list of facts behind the same gate, without a model: what retrieval gives, and the ceiling."""
    return lambda prompt: look_up([learner.session], prompt)


@dataclass(frozen=True)
class Family:
    """One way to learn and the ``rows`` that ask it, by name. Those that are not ``thorough`` are told the facts in one
    order only, and for a limited time."""

    make: Callable[[Loaded], Any]
    rows: dict[str, Callable[[Any], Callable[[str], Any]]]
    thorough: bool = False

    @property
    def name(self) -> str:
        """What its rows are called."""
        return ", ".join(self.rows)


FAMILIES = (
    Family(Naive, {"naive fine-tuning": always}),
    Family(LowRank, {"LoRA": always}),
    Family(lambda loaded: Ours(loaded, TeachSettings(drift_weight=0)), {"+ rehearsal": always}),
    Family(
        Ours,
        {"+ KL to the base": always, "+ gate (ours)": gated, "codebook gate (GRACE)": codebook, "lookup": lookup},
        thorough=True,
    ),
)


def shuffled(facts: Sequence[Fact], order: int) -> list[Fact]:
    """The facts in another order for each number."""
    mixed = list(facts)
    random.Random(order).shuffle(mixed)
    return mixed
