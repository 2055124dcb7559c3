"""Filters on the logits of the next token: pure functions, *shape* (…, vocab) -> the same; -inf is never drawn."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

SMALLEST_TEMPERATURE = 1e-30
LARGEST_UNIFORM = 1 - 1e-6  # in float32, a target nearer to the whole mass could be rounded past the last token


def temperature(logits: Tensor, value: float) -> Tensor:
    """Divide by a temperature above zero: below 1 the likely becomes likelier, above 1 all become more alike.

    The largest logit is brought to zero first, so that no temperature, however small, divides to infinity.
    """
    return (logits - logits.amax(-1, keepdim=True)) / max(value, SMALLEST_TEMPERATURE)


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep exactly the ``k`` largest (arXiv:1805.04833); 0, or more than there are, keeps all."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    kept = logits.topk(k)
    return torch.full_like(logits, float("-inf")).scatter(-1, kept.indices, kept.values)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of likeliest tokens that holds at least ``p`` of the probability (arXiv:1904.09751).

    The likeliest token is always kept; 1 keeps all.
    """
    if p >= 1:
        return logits
    ordered = logits.sort(descending=True, stable=True)
    probabilities = ordered.values.softmax(-1)
    mass_before = probabilities.cumsum(-1) - probabilities
    mass_before[..., 0] = 0  # rounding must not drop the first
    kept = ordered.values.masked_fill(mass_before >= p, float("-inf"))
    return torch.empty_like(logits).scatter(-1, ordered.indices, kept)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Keep tokens at least ``p`` times as likely as the likeliest one (arXiv:2407.01082); 0 keeps all."""
    if p == 0:
        return logits
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True) + math.log(p), float("-inf"))


def repetition_penalty(logits: Tensor, texts: Sequence[Sequence[int]], penalty: float) -> Tensor:
    """Make every token that is in a row's text less likely (CTRL, arXiv:1909.05858); 1 changes nothing.

    A logit above zero is divided by the penalty, one below is multiplied. ``texts``: the token ids of each row so far.
    *Shape:* logits (batch, vocab).
    """
    if penalty == 1:
        return logits
    changed = logits.clone()
    for row, ids in zip(changed, texts, strict=True):
        present = torch.tensor(sorted(set(ids)), dtype=torch.long, device=logits.device)
        row[present] = torch.where(row[present] > 0, row[present] / penalty, row[present] * penalty)
    return changed


def draw(probabilities: Tensor, uniforms: Sequence[float]) -> Tensor:
    """One token of each row by inverting its cumulative distribution at a number between 0 and 1.

    One number a token (rather than one for each word of the vocabulary) is what lets every row have a random
    generator of its own and still be drawn in one go. A token of probability zero is never drawn.

    *Shape:* (batch, vocab), batch numbers -> (batch,) token ids.
    """
    mass = probabilities.cumsum(-1)
    limited = [min(number, LARGEST_UNIFORM) for number in uniforms]
    targets = torch.tensor(limited, dtype=mass.dtype, device=mass.device)[:, None] * mass[:, -1:]
    return torch.searchsorted(mass, targets, right=True)[:, 0].clamp(max=mass.shape[-1] - 1)
