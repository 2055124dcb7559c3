"""Facts as extra units of the long-term memory: each fires at one place of one answer, and hardly anywhere else.

A two-layer perceptron is a memory of keys and values (Geva et al. 2021, arXiv:2012.14913). A new unit's key is the
hidden state at its place, turned by what is usual for the model (the second moments of its own text, as in
arXiv:2202.05262), so that usual text leaves the unit below zero, where a GELU passes next to nothing on. Only the
values are learnt; what the model says of usual text is held in place meanwhile, because where an answer ends looks
much like where any sentence ends.
"""

from collections.abc import Generator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from microformer.adapters.session import SessionMemory
from microformer.teaching.drift import drift
from microformer.teaching.examples import Example
from microformer.teaching.frozen_base import FrozenBase, predictions
from microformer.teaching.lesson import Outcome, Step, loss_gradient, lowest_margins, margins_of, place_margins

FIRES = 8.0
"""What goes into a unit at its own place; a GELU passes that on whole."""
LEAST, MOST = 0.8, 0.95
"""A unit begins to fire between these shares of the way to its own place: as far as no usual text comes."""
RIDGE = 1e-3
RATE = 0.001
"""Size of Adam's steps, beside the activations. Four times as large teaches as well, and harms the rest more."""
HOLD, PLACES = 100.0, 1024
"""How strongly the rest is held in place, and at how many places of the anchors in each step."""
SURE = 0.5


def keys(usual: Tensor, taught: Tensor) -> Tensor:
    """One key for each taught place. *Shape:* usual (places, d_model), taught (units, d_model) -> (d_model, units)."""
    moments = usual.mT @ usual / len(usual) + 0.1 * taught.mT @ taught / len(taught)
    moments += RIDGE * moments.diagonal().mean() * torch.eye(len(moments))
    always = torch.linalg.solve(moments, usual.mean(0))  # stands in for a bias: near 1 on any text
    always = always / (usual @ always).mean()
    own = torch.linalg.solve(moments, taught.mT)  # (C, U)
    own = own - always[:, None] * (usual @ own).mean(0)  # now 0 on average
    own = own / (taught.mT * own).sum(0)  # and 1 at its own place
    ones, constant = (usual @ always).clamp(min=0.1), taught @ always
    nearest = (usual @ own / ones[:, None]).amax(0)  # (U,)
    start = torch.minimum((1.05 * nearest).clamp(LEAST, MOST), MOST / constant.clamp(min=0.1))
    return (own - start * always[:, None]) * (FIRES / (1 - start * constant))


def imprint(
    base: FrozenBase, examples: Sequence[Example], start: SessionMemory, *, margin: float, max_steps: int = 1000
) -> Generator[Step, None, Outcome]:
    """Units for all places of all answers beside those of ``start``, whose values are learnt until every answer has its
    margin; what ``start`` holds stays as it is. Yields after each step."""
    (layer,) = start.layers
    batch = base.batch_of(examples, layer)
    usual = base.lower_of_anchors(layer).flatten(0, 1)
    key = keys(usual, batch.lower[batch.rows, batch.columns])[None]
    up = torch.zeros(1, key.shape[2], key.shape[1], requires_grad=True)

    def grown() -> SessionMemory:
        return replace(start, down=torch.cat([start.down, key], 2), up=torch.cat([start.up, up], 1))

    optimizer = torch.optim.Adam([up], lr=RATE * base.scale(layer))
    chance = torch.Generator().manual_seed(0)
    for number in range(max_steps):
        found = predictions(base, grown(), examples)
        by_place = place_margins(found)
        margins = lowest_margins(found, by_place, len(examples))
        if min(margins) >= margin + SURE:
            break
        anchors, read = base.anchor_places(PLACES, layer, chance)
        change = HOLD * drift(base.model, grown(), anchors, read)
        gradient = loss_gradient(found, by_place, margin + 2 * SURE, base.model.head)
        (up.grad,) = torch.autograd.grad([found.hidden, change], [up], [gradient, torch.ones(())])
        optimizer.step()
        yield Step(number + 1, sum(each >= margin for each in margins), len(examples))
    up.requires_grad_(False)
    memory = grown()
    return Outcome(memory, tuple((yield from margins_of(base, memory, examples))))
