"""Speculative decoding (Leviathan et al. 2023, arXiv:2211.17192): a small model drafts, the large one checks.

The draft writes a few tokens; the target reads them all in one pass and keeps each with such a chance that the text is
distributed exactly as if the target had written it alone. When greedy, it is the target's own text, token for token.
"""

import random
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from microformer.adapters.session import SessionMemory
from microformer.errors import UserError
from microformer.generation import filters
from microformer.generation.prompt import window_start
from microformer.generation.sampling import Sampling, allowed
from microformer.generation.threads import threads_for, weight_count
from microformer.model.cache import KVCache
from microformer.model.transformer import Transformer


def speculate(
    target: Transformer,
    draft: Transformer,
    prompt_ids: Sequence[int],
    sampling: Sampling,
    *,
    end_id: int,
    ahead: int = 4,
    session: SessionMemory | None = None,
) -> Iterator[int]:
    """Yield each token the target writes after ``prompt_ids``, the end-of-text token as the last.

    Up to ``ahead`` tokens are drafted at a time. A ``session`` belongs to the target. Raises ``UserError`` when the
    models do not share a vocabulary.
    """
    if target.config.vocab_size != draft.config.vocab_size:
        raise UserError(
            f"The draft model knows {draft.config.vocab_size} tokens and the model itself {target.config.vocab_size}; "
            "take a draft that was trained with the same tokenizer."
        )
    ids, uniform, written = list(prompt_ids), random.Random(sampling.seed).random, 0
    checking, drafting = _Reader(target, session, spare=ahead), _Reader(draft, None)
    while written < sampling.max_tokens:
        room = min(ahead, sampling.max_tokens - written - 1, checking.room(len(ids)))
        drafted, guesses = list[int](), list[Tensor]()
        for _ in range(room):
            guesses.append(_probabilities(drafting.logits(ids + drafted, 1), [ids + drafted], sampling)[0])
            drafted.append(_draw(guesses[-1], uniform()))
        logits = checking.logits(ids + drafted, room + 1)
        checked = _probabilities(logits, [ids + drafted[:i] for i in range(room + 1)], sampling)
        for token in _kept(drafted, guesses, checked, uniform):
            yield token
            written += 1
            if token == end_id:
                return
            ids.append(token)
        checking.forget_behind(len(ids) - 1)
        drafting.forget_behind(len(ids) - 1)


def _kept(drafted: list[int], guesses: list[Tensor], checked: Tensor, uniform: Callable[[], float]) -> list[int]:
    """The drafted tokens that the target accepts, and one of its own after them.

    Token x is kept with probability min(1, p(x) / q(x)); the first that is not is replaced by one drawn from what p
    has more than q. *Shape:* guesses (vocab,) each; checked (len(drafted) + 1, vocab).
    """
    for place, (token, guess) in enumerate(zip(drafted, guesses, strict=True)):
        wanted = checked[place]
        if uniform() * float(guess[token]) >= float(wanted[token]):
            return [*drafted[:place], _draw((wanted - guess).clamp(min=0), uniform())]
    return [*drafted, _draw(checked[-1], uniform())]


def _probabilities(logits: Tensor, texts: list[list[int]], sampling: Sampling) -> Tensor:
    """How probable each token is; when greedy, 1 for the likeliest. *Shape:* (rows, vocab) -> the same."""
    if not sampling.greedy:
        return allowed(logits, sampling, texts).double()
    logits = filters.repetition_penalty(logits.float(), texts, sampling.repetition_penalty)
    return torch.zeros_like(logits, dtype=torch.float64).scatter_(1, logits.argmax(-1, keepdim=True), 1.0)


def _draw(weights: Tensor, number: float) -> int:
    return int(filters.draw(weights[None], [number]))


class _Reader:
    """A model that reads a growing text; what it has read of it is kept in a cache."""

    def __init__(self, model: Transformer, session: SessionMemory | None, *, spare: int | None = None) -> None:
        """``spare`` tokens at most are read and forgotten again; ``None``: more, so that the cache cannot roll."""
        self.model, self.session = model, session
        self.rolls = model.config.rolls and spare is not None
        self.context = model.config.max_seq_len
        self.weights = weight_count(model)
        self.start = 0
        self.cache: KVCache = model.new_cache(rolling=self.rolls, spare=spare or 0)

    def room(self, length: int) -> int:
        """How many more tokens fit behind a text of ``length`` before the window has to move or, rolling on, only one
        can be read at a time."""
        if self.rolls and self.cache.lengths[0]:
            return max(0, self.context - (length - self.start))
        return self.context - (length - window_start(length, self.start, self.context))

    @torch.inference_mode()
    def logits(self, ids: list[int], count: int) -> Tensor:
        """Of what follows each of the last ``count`` tokens, through the window that the first of these texts has.

        *Shape:* -> (count, vocab).
        """
        start = window_start(len(ids) - count + 1, self.start, self.context)
        if self.rolls and self.cache.lengths[0]:
            start = self.start
        if start != self.start:
            self.cache.truncate(0)
            self.start = start
        unread = torch.tensor([ids[start + self.cache.lengths[0] :]], device=self.model.logit_bias.device)
        with threads_for(self.weights, unread.numel()):
            hidden = self.model.hidden(unread, session=self.session, cache=self.cache)[0, -count:]
            return self.model.logits(hidden, self.session).cpu()

    def forget_behind(self, length: int) -> None:
        """Forget what was read of the text behind its first ``length`` tokens."""
        self.cache.truncate(max(0, length - self.start))
