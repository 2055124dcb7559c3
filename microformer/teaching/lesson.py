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
from microformer.teaching.ground import Ground, Lesson, head_input, lesson_logits
from microformer.teaching.settings import TeachSettings

CHECKED_TOGETHER = 64


@dataclass(frozen=True)
class Step:
    """Where an attempt stands after a step: ``held`` of ``of`` examples have their margin."""

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


def margins_of(
    ground: Ground, memory: SessionMemory, examples: Sequence[Example]
) -> Generator[Step, None, list[float]]:
    """The lowest margin of each example, teacher-forced; yields between batches of them."""
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].tokens))
    margins = [0.0] * len(examples)
    for start in range(0, len(order), CHECKED_TOGETHER):
        chosen = order[start : start + CHECKED_TOGETHER]
        with torch.no_grad():
            lesson = ground.lesson([examples[index] for index in chosen], min(memory.layers))
            lowest = lowest_margins(lesson_logits(ground.model, memory, lesson), lesson, len(chosen))
        for index, margin in zip(chosen, lowest, strict=True):
            margins[index] = margin
        yield Step(0, 0, len(examples))
    return margins


def lowest_margins(logits: Tensor, lesson: Lesson, count: int) -> list[float]:
    """For each of ``count`` examples, by how much its targets lead where they lead least.

    *Shape:* logits (places, vocab).
    """
    right = logits.gather(1, lesson.targets[:, None])[:, 0]  # (places,)
    others = logits.scatter(1, lesson.targets[:, None], float("-inf")).amax(1)
    lowest = torch.full((count,), float("inf")).scatter_reduce(0, lesson.rows, right - others, "amin")
    return lowest.tolist()


def drift(model: Transformer, memory: SessionMemory, lesson: Lesson, base: Tensor) -> Tensor:
    """Mean KL(base || session) in nats over the places of an anchor lesson; ``base`` (places, d_model)."""
    with torch.no_grad():
        before = model.logits(base).log_softmax(-1)  # (places, vocab)
    after = model.logits(head_input(model, memory, lesson), memory).log_softmax(-1)
    return F.kl_div(after, before, reduction="batchmean", log_target=True)


def attempt(
    ground: Ground,
    examples: Sequence[Example],
    new: Sequence[int],
    start: SessionMemory,
    settings: TeachSettings,
) -> Generator[Step, None, Outcome]:
    """Train from ``start`` until all ``examples`` have their margin, yielding after each step.

    ``new`` are the indices of examples that every step repeats. Ends with the best memory seen, which holds all
    examples or, after ``settings.max_steps``, as many as could be had.
    """
    choice = random.Random(settings.seed)
    anchored = torch.Generator().manual_seed(settings.seed)
    down, up = start.down.clone().requires_grad_(), start.up.clone().requires_grad_()
    optimizer = torch.optim.Adam([down, up], lr=settings.learning_rate, betas=(0.9, 0.99))
    memory = replace(start, down=down, up=up)
    margins = yield from margins_of(ground, start, examples)
    best = Outcome(start, tuple(margins))
    for number in range(settings.max_steps):
        chosen = _choose(margins, new, settings, choice)
        lesson = ground.lesson([examples[index] for index in chosen], min(memory.layers))
        logits = lesson_logits(ground.model, memory, lesson)
        for index, margin in zip(chosen, lowest_margins(logits.detach(), lesson, len(chosen)), strict=True):
            margins[index] = margin
        if min(margins[index] for index in chosen) >= settings.margin:
            frozen = replace(memory, down=down.detach().clone(), up=up.detach().clone())
            margins = yield from margins_of(ground, frozen, examples)
            outcome = Outcome(frozen, tuple(margins))
            if outcome.held(settings.margin) > best.held(settings.margin) or best.memory is start:
                best = outcome
            if outcome.held(settings.margin) == len(examples):
                return outcome
        loss = F.cross_entropy(logits, lesson.targets)
        if settings.drift_weight:
            anchors, base = ground.anchor_places(settings.anchor_places, min(memory.layers), anchored)
            loss = loss + settings.drift_weight * drift(ground.model, memory, anchors, base)
        down.grad, up.grad = torch.autograd.grad(loss, [down, up])
        optimizer.step()
        yield Step(number + 1, sum(margin >= settings.margin for margin in margins), len(examples))
    return best


def _choose(margins: Sequence[float], new: Sequence[int], settings: TeachSettings, choice: random.Random) -> list[int]:
    """What a step repeats: the new examples, and of the others half the weakest and half by chance."""
    fresh = list(new) if len(new) <= settings.group else choice.sample(list(new), settings.group)
    others = [index for index in range(len(margins)) if index not in set(fresh)]
    if len(others) <= settings.rehearsal:
        return fresh + others
    weakest = sorted(others, key=lambda index: margins[index])[: settings.rehearsal // 2]
    rest = [index for index in others if index not in set(weakest)]
    return fresh + weakest + choice.sample(rest, settings.rehearsal - len(weakest))
