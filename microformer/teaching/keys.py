"""How prompts are compared: the same words in another case, spacing or edge punctuation are the same key."""

import functools
import unicodedata
from collections.abc import Iterable

EDGES = frozenset(".,;:!?…\"'`´()[]{}<>«»‹›„“”‚‘’-–—¿¡。、！？：；「」")
"""Punctuation that changes nothing at the edge of a prompt; *C#* and *C* stay two keys."""


@functools.lru_cache(maxsize=65536)
def key(prompt: str) -> str:
    """The normalised form of a prompt: NFKC, case-folded, spaces collapsed, punctuation at the edges dropped.

    A prompt that is nothing but punctuation keeps it; one of white space only has the empty key.
    """
    plain = " ".join(unicodedata.normalize("NFKC", prompt).casefold().split())
    return _without_edges(plain) or plain


@functools.lru_cache(maxsize=65536)
def words(text: str) -> tuple[str, ...]:
    """The words of a key: runs of letters, marks and digits; what stands between them is dropped.

    A possessive ``'s`` becomes a word of its own, so that *Anna's* and *Anna* share one.
    """
    spaced = "".join(letter if _belongs_to_a_word(letter) else " " for letter in key(text))
    return tuple(spaced.split())


def typed_plainly(words: Iterable[str]) -> dict[str, str]:
    """From how words with accents are typed on a keyboard that has none, to the words; *zoe* for *zoë*.

    Only Latin letters have such a spelling: a mark on a Japanese or an Indian one makes another letter. What could
    stand for two of the words is left out.
    """
    meant: dict[str, list[str]] = {}
    for word in words:
        parts = unicodedata.normalize("NFKD", word)
        plain = "".join(letter for letter in parts if not unicodedata.combining(letter))
        if plain != word and plain.isascii():
            meant.setdefault(plain, []).append(word)
    return {plain: both[0] for plain, both in meant.items() if len(both) == 1}


def _without_edges(text: str) -> str:
    start, end = 0, len(text)
    while start < end and _is_edge(text[start]):
        start += 1
    while end > start and _is_edge(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_edge(letter: str) -> bool:
    return letter.isspace() or letter in EDGES


def _belongs_to_a_word(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LMNS" or letter in "#@&%"
