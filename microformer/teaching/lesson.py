"""The lesson itself: train a session's adapters until the model says every taught fact by itself.

Each step repeats the new facts and some old ones (cross entropy on the answer and its end) and holds the rest of the
model in place (KL to the base on its own text). It stops when, at every place of every answer, the right token leads
all others by a margin: greedy decoding then writes each answer and its end exactly, by induction over the tokens.
"""

import random
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from microformer.adapters.session import SessionMemory
from microformer.generation.threads import threads
from microformer.teaching.drift import drift
from microformer.teaching.examples import Example
from microformer.teaching.frozen_base import FrozenBase, Predictions, predictions
from microformer.teaching.optimizer import OrthogonalMomentum
from microformer.teaching.session import SPELLING
from microformer.teaching.settings import TeachSettings

_BESIDE = ThreadPoolExecutor(1, "drift", initializer=torch.set_num_threads, initargs=(1,))
CHECKED_TOGETHER = 64
FEW_TOKENS = 1024
"""Of a larger vocabulary, the drift of a step is taken among the tokens that follow its anchors and those of the taught
answers: most of what a step computed was a softmax over tokens that neither touches."""
LOOK_EVERY = 5
"""While a memory settles, it is looked at after this many steps."""
RELAX_OVER = 10
"""After this many steps the drift weighs half as much as at first, so that what is hard to learn gets its chance."""
SETTLING_WEIGHT = 4.0
"""How much more the drift weighs while a memory settles."""
FILLED_BY = 10
"""With this many examples in a memory, steps are halfway between those of a blank and those of a full one: the more it
holds, the more a long step knocks out."""
REHEARSED = 4
"""Of many facts, one in this many is repeated in each step: with 32 of five hundred at a time, steps knocked out others
faster than those came round again."""
LOOSER = 20
"""How much less the drift weighs where tokens are letters (see ``session_blocks``): there a lesson changes so little
else that it can be as much shorter."""
SURE = 1.0
"""A place whose margin is this much above what is asked is not trained on: it has been learnt."""


@dataclass(frozen=True)
class Step:
    """Where an attempt stands: ``held`` of ``of`` examples have their margin after ``number`` steps."""

    number: int
    held: int
    of: int


@dataclass(frozen=True)
class Outcome:
    """The memory an attempt ended with, and the lowest margin of each example under it, in logits."""

    memory: SessionMemory
    margins: tuple[float, ...]

    def held(self, margin: float) -> int:
        """How many examples lead by at least ``margin`` everywhere."""
        return sum(each >= margin for each in self.margins)

    def worth(self, margin: float) -> tuple[int, float]:
        """For telling the better of two outcomes: examples held, then how near the others came."""
        return self.held(margin), sum(min(each, margin) for each in self.margins)


def attempt(
    base: FrozenBase, examples: Sequence[Example], new: Sequence[int], start: SessionMemory, settings: TeachSettings
) -> Generator[Step, None, Outcome]:
    """Train from ``start`` until all ``examples`` have their margin, yielding after each step.

    ``new`` are the indices of examples that every step repeats. Ends with the best memory that was looked at: one that
    holds all examples or, after ``settings.max_steps``, as many as could be had. ``settings.settling`` more steps then
    look for one that holds them with less drift.
    """
    margins = yield from margins_of(base, start, examples)
    training = Training(base, start, examples, settings, held=len(examples) - len(new))
    best = Outcome(start, tuple(margins))
    settled = best.held(settings.margin) == len(examples)
    least = training.drift_everywhere() if settled and settings.settling else float("inf")
    choice, last = random.Random(settings.seed), settings.settling if settled else settings.max_steps
    for number in range(settings.max_steps + settings.settling):
        if number >= last:
            break
        chosen = choose(margins, new, settings, choice)
        found = training.read([examples[index] for index in chosen])
        for index, margin in zip(chosen, found, strict=True):
            margins[index] = margin
        due = not settled or number % LOOK_EVERY == 0 or number == last - 1
        if (due and min(found) >= settings.margin) or number == settings.max_steps - 1:
            outcome = Outcome(training.frozen(), tuple((yield from margins_of(base, training.frozen(), examples))))
            margins = list(outcome.margins)
            drifted = training.drift_everywhere() if settings.settling else 0.0
            if outcome.held(settings.margin) == len(examples):
                if not settled:
                    settled, last = True, number + settings.settling
                if drifted < least:
                    best, least = outcome, drifted
                if number >= last:
                    break
            elif not settled:
                best = max(best, outcome, key=lambda one: one.worth(settings.margin))
        training.step(SETTLING_WEIGHT if settled else 1 / (1 + number / RELAX_OVER))
        yield Step(number + 1, sum(margin >= settings.margin for margin in margins), len(examples))
    return best


class Training:
    """The trained tensors of one attempt and their optimizer."""

    def __init__(
        self,
        base: FrozenBase,
        start: SessionMemory,
        examples: Sequence[Example],
        settings: TeachSettings,
        *,
        held: int,
    ) -> None:
        """``held``: how many of the ``examples`` the memory ``start`` was trained on before."""
        self.base, self.settings = base, settings
        letters = base.model.config.vocab_size <= SPELLING
        self.drift_weight = settings.drift_weight / LOOSER if letters else settings.drift_weight
        self.first = min(start.layers)
        scale = base.scale(self.first)  # what an adapter reads and adds to is this large, in any model
        blank = ~start.up.any(2)  # (layers, width): units that nothing was learnt with
        down = torch.where(blank[:, None], start.down / scale, start.down)
        self.down, self.up = down.clone().requires_grad_(), start.up.clone().requires_grad_()
        self.memory = replace(start, down=self.down, up=self.up)
        rate = settings.later_rate + (settings.learning_rate - settings.later_rate) / (1 + held / FILLED_BY)
        self.optimizer = OrthogonalMomentum([self.down, self.up], [rate / scale, rate * scale])
        # other anchors in each lesson: always the same few were learnt by heart
        self.anchored = torch.Generator().manual_seed(settings.seed + len(examples))
        self.taught = torch.tensor(sorted({token for example in examples for token in example.targets}))
        self.hidden, self.gradient = torch.zeros(0), torch.zeros(0)
        self.drift_gradients: Future[tuple[Tensor, ...]] | None = None

    def read(self, examples: Sequence[Example]) -> list[float]:
        """Let the model read examples, note the gradient of their loss, and return their lowest margins.

        Where the machine has a second core, it works out the gradient of the drift meanwhile: two products at once, of
        one thread each, are faster than each of them on two.
        """
        if self.drift_weight:
            self.drift_gradients = _BESIDE.submit(self._gradients_of_drift) if torch.get_num_threads() > 1 else None
        with threads(1):
            found = predictions(self.base, self.memory, examples)
            margins = place_margins(found)
            self.hidden = found.hidden
            self.gradient = loss_gradient(found, margins, self.settings.margin + SURE, self.base.model.head)
        return lowest_margins(found, margins, len(examples))

    def step(self, weight: float) -> None:
        """One step down the noted loss and the drift, which weighs ``weight`` times what the settings say."""
        with threads(1):
            gradients = torch.autograd.grad(self.hidden, [self.down, self.up], self.gradient)
            if weight := weight * self.drift_weight:
                back = self._gradients_of_drift() if self.drift_gradients is None else self.drift_gradients.result()
                gradients = tuple(one + weight * other for one, other in zip(gradients, back, strict=True))
            self.optimizer.step(gradients)

    def _gradients_of_drift(self) -> tuple[Tensor, ...]:
        anchors, read = self.base.anchor_places(self.settings.anchor_places, self.first, self.anchored)
        among = None
        if self.base.model.config.vocab_size > FEW_TOKENS:
            among = torch.cat([anchors.targets, self.taught]).unique()
        change = drift(self.base.model, self.memory, anchors, read, among)
        return torch.autograd.grad(change, [self.down, self.up])

    def frozen(self) -> SessionMemory:
        """The memory as it is now; later steps do not change it."""
        return replace(self.memory, down=self.down.detach().clone(), up=self.up.detach().clone())

    @torch.no_grad()
    def drift_everywhere(self) -> float:
        """The drift over many anchors, always the same ones."""
        anchors, read = self.base.anchor_places(4096, self.first, torch.Generator().manual_seed(0))
        return float(drift(self.base.model, self.memory, anchors, read))


def choose(margins: Sequence[float], new: Sequence[int], settings: TeachSettings, choice: random.Random) -> list[int]:
    """What a step repeats: the new examples, and of the others half the weakest and half by chance."""
    fresh = list(new) if len(new) <= settings.group else choice.sample(list(new), settings.group)
    others = sorted(set(range(len(margins))).difference(fresh))
    count = max(settings.rehearsal, len(others) // REHEARSED) if settings.rehearsal else 0
    if len(others) <= count:
        return fresh + others
    others.sort(key=lambda index: margins[index])
    weakest, rest = others[: count // 2], others[count // 2 :]
    return fresh + weakest + choice.sample(rest, count - len(weakest))


def margins_of(
    base: FrozenBase, memory: SessionMemory, examples: Sequence[Example]
) -> Generator[Step, None, list[float]]:
    """The lowest margin of each example, teacher-forced; yields between batches of them."""
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].tokens))
    margins = [0.0] * len(examples)
    for start in range(0, len(order), CHECKED_TOGETHER):
        chosen = order[start : start + CHECKED_TOGETHER]
        with torch.no_grad():
            found = predictions(base, memory, [examples[index] for index in chosen])
        for index, margin in zip(chosen, lowest_margins(found, place_margins(found), len(chosen)), strict=True):
            margins[index] = margin
        yield Step(0, 0, len(examples))
    return margins


def place_margins(found: Predictions) -> Tensor:
    """By how much each target leads the next best token, without a gradient. *Shape:* -> (places,)."""
    logits, targets = found.logits, found.targets[:, None]
    others = logits.scatter(1, targets, float("-inf")).amax(1)
    return logits.gather(1, targets)[:, 0] - others


def lowest_margins(found: Predictions, margins: Tensor, count: int) -> list[float]:
    """The lowest margin of each of ``count`` examples. *Shape:* margins (places,)."""
    return torch.full((count,), float("inf")).scatter_reduce(0, found.rows, margins, "amin").tolist()


def loss_gradient(found: Predictions, margins: Tensor, sure: float, head: Tensor) -> Tensor:
    """The gradient of the cross entropy where the margin is below ``sure``, about the mean over those places.

    *Shape:* -> (places, d_model), of what the head reads. Places that have been learnt would only pull against what
    holds the rest of the model. The 8 keeps the last few places from weighing as much as all of them did.
    """
    gradient = torch.zeros_like(found.hidden)
    (places,) = (margins < sure).nonzero(as_tuple=True)
    for_logits = found.logits[places].softmax(-1)  # (open, V)
    for_logits[torch.arange(len(places)), found.targets[places]] -= 1
    gradient[places] = (for_logits @ head) / (len(places) + 8)
    return gradient.detach()
