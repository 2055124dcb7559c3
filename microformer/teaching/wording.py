"""What makes two wordings the same question: content words, their order, a slip of the fingers."""

import functools
from collections import Counter
from collections.abc import Sequence
from math import log, sqrt

from microformer.teaching.keys import words

COMMON = frozenset(
    {"a", "an", "the", "of", "in", "on", "at", "is", "are", "was", "were", "be", "do", "does", "did", "has", "have"}
    | {"had", "it", "its", "s", "and", "please", "there", "then", "that", "this"}
)
"""English words that carry little of a prompt's meaning. *Not*, *where* and *my* are not among them, nor are *to* and
*from*. Other languages need every word."""


@functools.lru_cache(maxsize=65536)
def content(key: str) -> tuple[str, ...]:
    """The words of a key that a prompt must have, in their order; all words when all are common."""
    every = words(key)
    return tuple(word for word in every if word not in COMMON) or every


def one_slip_apart(word: str, other: str) -> bool:
    """Whether one letter too many, missing or wrong, or two neighbours swapped, makes ``word`` into ``other``.

    Too short words, numbers and scripts without case are never mistaken for each other: there, one sign is a meaning.
    A wrong letter needs five letters or more, so that *king* is not *ring*.
    """
    if not (_can_slip(word) and _can_slip(other)) or word == other:
        return False
    if len(word) == len(other):
        wrong = [place for place, pair in enumerate(zip(word, other, strict=True)) if pair[0] != pair[1]]
        if len(wrong) == 1:
            return len(word) >= 5
        swapped = len(wrong) == 2 and wrong[1] == wrong[0] + 1
        return swapped and word[wrong[0]] == other[wrong[1]] and word[wrong[1]] == other[wrong[0]]
    shorter, longer = sorted((word, other), key=len)
    if len(longer) - len(shorter) != 1 or len(shorter) < 4:
        return False
    return any(longer[:place] + longer[place + 1 :] == shorter for place in range(len(longer)))


def corrected(prompt: Sequence[str], taught: Sequence[str], known: frozenset[str]) -> list[str]:
    """The words of ``prompt`` with the first slip put right that makes one of the ``taught`` words which are missing.

    A word that is itself ``known`` (from any taught prompt) is not a slip.
    """
    missing = list((Counter(taught) - Counter(prompt)).elements())
    for place, word in enumerate(prompt):
        for meant in missing:
            if word not in known and one_slip_apart(word, meant):
                return [*prompt[:place], meant, *prompt[place + 1 :]]
    return list(prompt)


def follows(prompt: Sequence[str], needed: Sequence[str]) -> bool:
    """Whether ``needed`` stand in ``prompt`` in their order, with only common words between and after them."""
    place, started = 0, False
    for word in prompt:
        if place < len(needed) and word == needed[place]:
            place, started = place + 1, True
        elif started and word not in COMMON:
            return False
    return place == len(needed)


def grams(text: str) -> Counter[str]:
    """The character 3-, 4- and 5-grams of a text, with a space at either end."""
    padded = f" {text} "
    return Counter(padded[at : at + size] for size in (3, 4, 5) for at in range(len(padded) - size + 1))


def _can_slip(word: str) -> bool:
    return len(word) >= 4 and word.isalpha() and word.upper() != word.lower()


class GramWeights:
    """Inverse document frequency of n-grams over some keys: what all keys share tells little."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.count = len(texts)
        self.seen_in = Counter(gram for text in texts for gram in grams(text))

    def cosine(self, text: str, other: str) -> float:
        """Similarity of two texts from 0 to 1 in the weighted n-gram space."""
        one, two = self._weighted(text), self._weighted(other)
        shared = sum(weight * two[gram] for gram, weight in one.items() if gram in two)
        length = sqrt(sum(weight**2 for weight in one.values()) * sum(weight**2 for weight in two.values()))
        return min(1.0, shared / length) if length else 0.0

    def _weighted(self, text: str) -> dict[str, float]:
        return {gram: n * (1 + log((1 + self.count) / (1 + self.seen_in[gram]))) for gram, n in grams(text).items()}
