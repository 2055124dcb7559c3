"""How well counting alone predicts a text: an interpolated n-gram model (Witten and Bell 1991).

It is no baseline that a model is to beat, but tells in a second how hard a text is to learn.
"""

import numpy as np

ORDER = 5
TRAIN_TOKENS, VAL_TOKENS = 400_000, 50_000
SLICES = 100


def ngram_loss(train: np.ndarray, val: np.ndarray, vocab_size: int, order: int = ORDER) -> float:
    """Nats per token of ``val``, each predicted from up to ``order`` before it, by what followed those in ``train``.

    Of longer texts it reads a part, in ``SLICES`` spread over all of it. *Shape:* (tokens,) of integers each.
    """
    train, val = spread(train, TRAIN_TOKENS), spread(val, VAL_TOKENS)
    order = min(order, len(val) - 1)
    likely = np.full(len(val) - order, 1.0 / vocab_size)
    for length in range(order + 1):
        pairs, contexts = _codes(train, length + 1), _codes(train[:-1], length)
        known, first, seen = np.unique(pairs, return_index=True, return_counts=True)
        places, times = np.unique(contexts, return_counts=True)
        follow = np.bincount(np.searchsorted(places, contexts[first]), minlength=len(places))
        asked = _codes(val, length + 1)[-len(likely) :], _codes(val[:-1], length)[-len(likely) :]
        together, before = _look_up(known, seen, asked[0]), _look_up(places, times, asked[1])
        kinds = _look_up(places, follow, asked[1])
        likely = np.where(before > 0, (together + kinds * likely) / np.maximum(before + kinds, 1), likely)
    return float(-np.log(likely).mean())


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
