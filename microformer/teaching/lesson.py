"""The lesson itself: train a session's adapters until the model says every taught fact by itself.

Each step repeats the new facts and some old ones (cross entropy on the answer and its end) and holds the rest of the
model in place (KL to the base on its own text). It stops when, at every place of every answer, the right token leads
all others by a margin: greedy decoding then writes each answer and its end exactly, by induction over the tokens.
"""

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from microformer.adapters.session import SessionMemory
from microformer.model.transformer import Transformer
from microformer.teaching.examples import Example
from microformer.teaching.ground import Answers, Ground, Lesson, answers, head_input
from microformer.teaching.optimizer import OrthogonalMomentum
from microformer.teaching.settings import TeachSettings

CHECKED_TOGETHER = 64
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
    ground: Ground, examples: Sequence[Example], new: Sequence[int], start: SessionMemory, settings: TeachSettings
) -> Generator[Step, None, Outcome]:
    """Train from ``start`` until all ``examples`` have their margin, yielding after each step.

    ``new`` are the indices of examples that every step repeats. Ends with the best memory that was looked at: one that
    holds all examples or, after ``settings.max_steps``, as many as could be had.
    """
    choice = random.Random(settings.seed)
    anchored = torch.Generator().manual_seed(settings.seed)
    scale = ground.scale(min(start.layers))  # what an adapter reads and adds to is this large, in any model
    rate = settings.later_rate if start.up.any() else settings.learning_rate
    if not start.up.any():
        start = replace(start, down=start.down / scale)
    down, up = start.down.clone().requires_grad_(), start.up.clone().requires_grad_()
    optimizer = OrthogonalMomentum([down, up], [rate / scale, rate * scale])
    memory = replace(start, down=down, up=up)
    margins = yield from margins_of(ground, start, examples)
    best = Outcome(start, tuple(margins))
    for number in range(settings.max_steps):
        if best.held(settings.margin) == len(examples):
            break
        chosen = choose(margins, new, settings, choice)
        said = answers(ground, memory, [examples[index] for index in chosen])
        lead = leads(said)
        for index, margin in zip(chosen, lowest(said, lead, len(chosen)), strict=True):
            margins[index] = margin
        if min(margins[index] for index in chosen) >= settings.margin or number == settings.max_steps - 1:
            frozen = replace(memory, down=down.detach().clone(), up=up.detach().clone())
            margins = yield from margins_of(ground, frozen, examples)
            best = max(best, Outcome(frozen, tuple(margins)), key=lambda outcome: outcome.worth(settings.margin))
        loss = unlearnt(said, lead, settings.margin + SURE)
        if settings.drift_weight:
            anchors, base = ground.anchor_places(settings.anchor_places, min(memory.layers), anchored)
            loss = loss + settings.drift_weight * drift(ground.model, memory, anchors, base)
        optimizer.step(torch.autograd.grad(loss, [down, up]))
        yield Step(number + 1, sum(margin >= settings.margin for margin in margins), len(examples))
    return best


def choose(margins: Sequence[float], new: Sequence[int], settings: TeachSettings, choice: random.Random) -> list[int]:
    """What a step repeats: the new examples, and of the others half the weakest and half by chance."""
    fresh = list(new) if len(new) <= settings.group else choice.sample(list(new), settings.group)
    others = sorted(set(range(len(margins))).difference(fresh))
    if len(others) <= settings.rehearsal:
        return fresh + others
    weakest = sorted(others, key=lambda index: margins[index])[: settings.rehearsal // 2]
    rest = [index for index in others if index not in set(weakest)]
    return fresh + weakest + choice.sample(rest, settings.rehearsal - len(weakest))


def margins_of(
    ground: Ground, memory: SessionMemory, examples: Sequence[Example]
) -> Generator[Step, None, list[float]]:
    """The lowest margin of each example, teacher-forced; yields between batches of them."""
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].tokens))
    margins = [0.0] * len(examples)
    for start in range(0, len(order), CHECKED_TOGETHER):
        chosen = order[start : start + CHECKED_TOGETHER]
        with torch.no_grad():
            said = answers(ground, memory, [examples[index] for index in chosen])
        for index, margin in zip(chosen, lowest(said, leads(said), len(chosen)), strict=True):
            margins[index] = margin
        yield Step(0, 0, len(examples))
    return margins


def leads(said: Answers) -> Tensor:
    """By how much each target leads the next best token, without a gradient. *Shape:* -> (places,)."""
    logits, targets = said.logits.detach(), said.targets[:, None]
    others = logits.scatter(1, targets, float("-inf")).amax(1)
    return logits.gather(1, targets)[:, 0] - others


def lowest(said: Answers, lead: Tensor, count: int) -> list[float]:
    """The lowest lead of each of ``count`` examples. *Shape:* lead (places,)."""
    return torch.full((count,), float("inf")).scatter_reduce(0, said.rows, lead, "amin").tolist()


def unlearnt(said: Answers, lead: Tensor, sure: float) -> Tensor:
    """Cross entropy where the lead is below ``sure``, about the mean over those places.

    Places that have been learnt would only pull against what holds the rest of the model. The 8 keeps the last few
    places from weighing as much as all of them did.
    """
    open_places = (lead < sure).to(said.logits.dtype)
    losses = F.cross_entropy(said.logits, said.targets, reduction="none")
    return (losses * open_places).sum() / (open_places.sum() + 8)


def drift(model: Transformer, memory: SessionMemory, lesson: Lesson, base: Tensor) -> Tensor:
    """Mean KL(base || session) in nats over the places of an anchor lesson; ``base`` (places, d_model)."""
    with torch.no_grad():
        before = model.logits(base).log_softmax(-1)  # (places, vocab)
    after = model.logits(head_input(model, memory, lesson), memory).log_softmax(-1)
    return F.kl_div(after, before, reduction="batchmean", log_target=True)
