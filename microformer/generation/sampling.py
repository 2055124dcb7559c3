"""How the next token is chosen from the model's logits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from microformer.errors import UserError
from microformer.generation import filters
from microformer.settings import check, setting

ALTERNATIVES = 5
"""How many of the likeliest tokens are kept beside each chosen one."""


@dataclass(frozen=True)
class Sampling:
    """Settings of one request. Raises ``UserError`` for a value out of its range.

    Sample ``i`` of ``num_samples`` is what the seed ``seed + i`` gives alone.
    """

    max_tokens: int = setting(200, "Most tokens to write.", minimum=1, maximum=100_000, unit="tokens")
    temperature: float = setting(
        0.8, "Lower is safer, higher is bolder; 0 always takes the likeliest token.", minimum=0, maximum=100
    )
    top_k: int = setting(0, "Choose among this many of the likeliest tokens only; 0 is off.", minimum=0)
    top_p: float = setting(
        1.0, "Choose among the likeliest tokens that together have this probability; 1 is off.", above=0, maximum=1
    )
    seed: int | None = setting(
        None, "The same seed writes the same text again; empty draws a new one.", minimum=0, maximum=2**31 - 1
    )
    num_samples: int = setting(1, "How many texts to write.", minimum=1, maximum=64)

    def __post_init__(self) -> None:
        check(self)

    @property
    def greedy(self) -> bool:
        return self.temperature == 0


class Choice(NamedTuple):
    """A chosen token, and what it was chosen from.

    ``probability`` and ``alternatives`` (likeliest first, pairs of token id and probability) are those of the model at
    the temperature of the request (1 when greedy), before top-k and top-p cut anything off: what the model thought,
    not what was left to draw from.
    """

    id: int
    probability: float
    alternatives: list[tuple[int, float]]


def choose(logits: Tensor, sampling: Sampling, uniforms: Sequence[float]) -> list[Choice]:
    """Choose a token for each row, all with the same settings.

    *Shape:* logits (batch, vocab); ``uniforms``: a random number between 0 and 1 for each row (unused when greedy).
    Raises ``UserError`` when the model's output is not a number.
    """
    logits = logits.float()
    scaled = logits if sampling.greedy else filters.temperature(logits, sampling.temperature)
    probabilities = scaled.softmax(-1)
    if sampling.greedy:
        ids = logits.argmax(-1)
    elif sampling.top_k == 0 and sampling.top_p == 1:
        ids = filters.draw(probabilities, uniforms)
    else:
        allowed = filters.top_p(filters.top_k(scaled, sampling.top_k), sampling.top_p)
        ids = filters.draw(allowed.softmax(-1), uniforms)
    chosen = probabilities.gather(-1, ids[:, None])[:, 0].tolist()
    likeliest = probabilities.topk(min(ALTERNATIVES, probabilities.shape[-1]))
    pairs = zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
    if any(probability != probability for probability in chosen):
        raise UserError("This model's output is not a number, so its training has diverged; choose another checkpoint.")
    return [
        Choice(token, probability, list(zip(*pair, strict=True)))
        for token, probability, pair in zip(ids.tolist(), chosen, pairs, strict=True)
    ]


def choose_each(logits: Tensor, samplings: Sequence[Sampling], uniforms: Sequence[float]) -> list[Choice]:
    """Choose a token for each row, each with its own settings; rows with equal settings are done together.

    *Shape:* logits (batch, vocab).
    """
    groups: dict[tuple[float, int, float], list[int]] = {}
    for row, sampling in enumerate(samplings):
        groups.setdefault((sampling.temperature, sampling.top_k, sampling.top_p), []).append(row)
    if len(groups) == 1:
        return choose(logits, samplings[0], uniforms)
    chosen: dict[int, Choice] = {}
    for rows in groups.values():
        some = logits[torch.tensor(rows, device=logits.device)]
        chosen.update(zip(rows, choose(some, samplings[rows[0]], [uniforms[row] for row in rows]), strict=True))
    return [chosen[row] for row in range(len(samplings))]
