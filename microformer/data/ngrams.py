"""How well counting alone predicts a text: an interpolated n-gram model (Witten and Bell 1991).

It is not a baseline that a model is to beat; it tells in a second how hard a text is to learn.
"""

import numpy as np

ORDER = 5
TRAIN_TOKENS, VAL_TOKENS = 400_000, 50_000
SLICES = 100


def ngram_loss(train: np.ndarray, val: np.ndarray, vocab_size: int, order: int = ORDER) -> float:
    """Nats per token of ``val``, each predicted from the ``order`` before it or fewer, as in ``train``.

    Of longer texts it reads a part, in ``SLICES`` spread over all of it. *Shape:* (tokens,) of integers each.
    """
    train, val = spread(train, TRAIN_TOKENS), spread(val, VAL_TOKENS)
    order = min(order, len(val) - 1)
    predicted = len(val) - order
    probability = np.full(predicted, 1.0 / vocab_size)
    for length in range(order + 1):
        ngrams, contexts = _codes(train, length + 1), _codes(train[:-1], length)
        known, first, count = np.unique(ngrams, return_index=True, return_counts=True)
        known_contexts, context_count = np.unique(contexts, return_counts=True)
        # How many different tokens follow each context: the weight of the shorter contexts.
        followers = np.bincount(np.searchsorted(known_contexts, contexts[first]), minlength=len(known_contexts))
        ngram, context = _codes(val, length + 1)[-predicted:], _codes(val[:-1], length)[-predicted:]
        seen, before = _look_up(known, count, ngram), _look_up(known_contexts, context_count, context)
        kinds = _look_up(known_contexts, followers, context)
        mixed = (seen + kinds * probability) / np.maximum(before + kinds, 1)
        probability = np.where(before > 0, mixed, probability)
    return float(-np.log(probability).mean())


def spread(tokens: np.ndarray, most: int, slices: int = SLICES) -> np.ndarray:
    """At most ``most`` of the tokens, in runs that are spread evenly over all of them."""
    if len(tokens) <= most:
        return np.asarray(tokens, np.uint64)
    starts = np.linspace(0, len(tokens) - most // slices, slices).astype(int)
    return np.concatenate([tokens[start : start + most // slices] for start in starts]).astype(np.uint64)


def _codes(tokens: np.ndarray, length: int) -> np.ndarray:
    """A number for each run of ``length`` tokens that another run is most unlikely to have."""
    runs = len(tokens) - max(length, 1) + 1
    codes = np.zeros(runs, np.uint64)
    for place in range(length):
        codes = codes * np.uint64(0x9E3779B97F4A7C15) + tokens[place : place + runs] + np.uint64(1)
    return codes


def _look_up(keys: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The value of each key asked for; 0 where it is not known."""
    places = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[places] == asked, values[places], 0)
