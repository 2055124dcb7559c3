"""How the next token is chosen from the model's logits."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from microformer.errors import UserError
from microformer.generation import filters
from microformer.generation.settings import Sampling

__all__ = ["ALTERNATIVES", "Choice", "Sampling", "choose", "choose_each"]

ALTERNATIVES = 5
"""How many of the likeliest tokens are kept beside each chosen one."""


class Choice(NamedTuple):
    """A chosen token, and what it was chosen from.

    ``probability`` and ``alternatives`` (likeliest first, pairs of token id and probability) are those of the model at
    the temperature of the request (1 when greedy), before top-k and top-p cut anything off: what the model thought,
    not what was left to draw from.
    """

    id: int
    probability: float
    alternatives: list[tuple[int, float]]


def choose(
    logits: Tensor, sampling: Sampling, uniforms: Sequence[float], texts: Sequence[Sequence[int]]
) -> list[Choice]:
    """Choose a token for each row, all with the same settings.

    *Shape:* logits (batch, vocab); ``uniforms``: a random number between 0 and 1 for each row (unused when greedy);
    ``texts``: the tokens of each row so far. Raises ``UserError`` when the model's output is not a number.
    """
    logits = logits.float()
    scaled = logits if sampling.greedy else filters.temperature(logits, sampling.temperature)
    probabilities = scaled.softmax(-1)
    if sampling.greedy:
        ids = filters.repetition_penalty(logits, texts, sampling.repetition_penalty).argmax(-1)
    elif sampling.filtered:
        ids = filters.draw(allowed(logits, sampling, texts), uniforms)
    else:
        ids = filters.draw(probabilities, uniforms)
    chosen = probabilities.gather(-1, ids[:, None])[:, 0].tolist()
    likeliest = probabilities.topk(min(ALTERNATIVES, probabilities.shape[-1]))
    pairs = zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
    if any(probability != probability for probability in chosen):
        raise UserError("This model's output is not a number, so its training has diverged; choose another checkpoint.")
    return [
        Choice(token, probability, list(zip(*pair, strict=True)))
        for token, probability, pair in zip(ids.tolist(), chosen, pairs, strict=True)
    ]


def allowed(logits: Tensor, sampling: Sampling, texts: Sequence[Sequence[int]]) -> Tensor:
    """The probabilities that a token is drawn with, after temperature and all filters; temperature must not be 0.

    *Shape:* logits (batch, vocab) -> the same.
    """
    scaled = filters.repetition_penalty(logits.float(), texts, sampling.repetition_penalty)
    scaled = filters.temperature(scaled, sampling.temperature)
    kept = filters.top_p(filters.top_k(scaled, sampling.top_k), sampling.top_p)
    return filters.min_p(kept, sampling.min_p).softmax(-1)


def choose_each(
    logits: Tensor, samplings: Sequence[Sampling], uniforms: Sequence[float], texts: Sequence[Sequence[int]]
) -> list[Choice]:
    """Choose a token for each row, each with its own settings; rows with equal settings are done together.

    *Shape:* logits (batch, vocab).
    """
    groups: dict[tuple[float, ...], list[int]] = {}
    for row, one in enumerate(samplings):
        alike = (one.temperature, one.top_k, one.top_p, one.min_p, one.repetition_penalty)
        groups.setdefault(alike, []).append(row)
    if len(groups) == 1:
        return choose(logits, samplings[0], uniforms, texts)
    chosen: dict[int, Choice] = {}
    for rows in groups.values():
        some = logits[torch.tensor(rows, device=logits.device)]
        choices = choose(some, samplings[rows[0]], [uniforms[row] for row in rows], [texts[row] for row in rows])
        chosen.update(zip(rows, choices, strict=True))
    return [chosen[row] for row in range(len(samplings))]
