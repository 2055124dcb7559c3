"""What the tokens of a dataset say before any model is trained: how frequent they are, and how well the validation
text is predicted by counting alone, which is what a trained model must beat."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from microformer.data.info import Baseline
from microformer.data.tokenizers import Tokenizer
from microformer.errors import UserError
from microformer.files import sha256

MIN_TRAIN_TOKENS = 64
MIN_VAL_TOKENS = 16
FREQUENT = 30
# Below this, even a model of the smallest preset learns the text by heart.
LITTLE_TRAIN_BYTES = 300_000

# The bigram estimate is made from at most this many training tokens and tried on at most that many validation
# tokens, so that it takes a second for any dataset.
BIGRAM_TRAIN_TOKENS = 5_000_000
BIGRAM_VAL_TOKENS = 1_000_000
_CHUNK = 2**20
# How many observations the unigram estimate counts for in the bigram estimate (a Dirichlet prior, MacKay and
# Peto 1995).
_PRIOR = 8.0


def describe_tokens(directory: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """The fields of ``DatasetInfo`` that come from ``train.npy`` and ``val.npy``.

    Raises ``UserError`` where there are too few tokens to train and validate on.
    """
    train = np.load(directory / "train.npy", mmap_mode="r", allow_pickle=False)
    val = np.load(directory / "val.npy", mmap_mode="r", allow_pickle=False)
    if len(train) < MIN_TRAIN_TOKENS or len(val) < MIN_VAL_TOKENS:
        raise UserError(
            f"The text makes only {len(train):,} tokens to train on and {len(val):,} to validate on; at least "
            f"{MIN_TRAIN_TOKENS} and {MIN_VAL_TOKENS} are needed: give more text, or choose a smaller vocabulary."
        )
    counts = token_counts(train, tokenizer.vocab_size)
    val_counts = token_counts(val, tokenizer.vocab_size)
    val_bytes = int(val_counts @ tokenizer.byte_lengths)
    frequent = [int(token) for token in np.argsort(-counts, kind="stable")[:FREQUENT] if counts[token]]
    return {
        "tokenizer": tokenizer.kind,
        "tokenizer_hash": tokenizer.hash,
        "vocab_size": tokenizer.vocab_size,
        "tokens": len(train) + len(val),
        "train_tokens": len(train),
        "val_tokens": len(val),
        "dtype": str(train.dtype),
        "frequent": [(tokenizer.token_label(token), int(counts[token])) for token in frequent],
        "baselines": {
            name: Baseline(loss, loss * (len(val) - 1) / math.log(2) / max(1, val_bytes))
            for name, loss in baselines(train, val, counts, val_counts).items()
        },
        "warning": size_warning(int(counts @ tokenizer.byte_lengths)),
        "sha256": {name: sha256(directory / name) for name in ("train.npy", "val.npy", "tokenizer.json")},
    }


def size_warning(train_bytes: int) -> str:
    """A sentence where a text is too small for every preset on offer, else nothing."""
    if train_bytes < LITTLE_TRAIN_BYTES:
        return (
            f"{train_bytes:,} bytes to train on are little: even the smallest preset will learn this text by heart "
            "instead of learning to write; a million bytes or more work better."
        )
    return ""


def token_counts(tokens: np.ndarray, vocab_size: int) -> np.ndarray:
    """How often each token occurs, ``(vocab_size,)``, in chunks, because a memory map may be larger than memory.

    Raises ``UserError`` for a token that the vocabulary lacks.
    """
    counts = np.zeros(vocab_size, np.int64)
    for start in range(0, len(tokens), _CHUNK):
        found = np.bincount(tokens[start : start + _CHUNK], minlength=vocab_size)
        if len(found) > vocab_size:
            raise UserError(f"There is no token {len(found) - 1:,} in the vocabulary; prepare the dataset again.")
        counts += found
    return counts


def baselines(train: np.ndarray, val: np.ndarray, counts: np.ndarray, val_counts: np.ndarray) -> dict[str, float]:
    """Nats per token on ``val`` of three estimates made from ``train``: each token alike, by frequency, by the
    token before.

    ``counts`` and ``val_counts`` are the ``token_counts``. As for a model, the first validation token is given.
    """
    targets = val_counts.copy()
    targets[val[0]] -= 1
    probability = (counts + 1.0) / (counts.sum() + len(counts))
    return {
        "uniform": math.log(len(counts)),
        "unigram": float(-(targets @ np.log(probability)) / targets.sum()),
        "bigram": _bigram(train[:BIGRAM_TRAIN_TOKENS], np.asarray(val[:BIGRAM_VAL_TOKENS], np.int64), probability),
    }


def _bigram(train: np.ndarray, val: np.ndarray, unigram: np.ndarray) -> float:
    """Nats per token of ``val`` when each is predicted from the one before it, falling back on ``unigram``."""
    vocab_size = len(unigram)
    pairs, which = np.unique(val[:-1] * vocab_size + val[1:], return_inverse=True)
    seen = np.zeros(len(pairs) + 1, np.int64)  # the last place takes the pairs that the validation text lacks
    for start in range(0, len(train) - 1, _CHUNK):
        chunk = np.asarray(train[start : start + _CHUNK + 1], np.int64)
        codes = chunk[:-1] * vocab_size + chunk[1:]
        places = np.searchsorted(pairs, codes)
        places[places == len(pairs)] = 0
        places[pairs[places] != codes] = len(pairs)
        seen += np.bincount(places, minlength=len(seen))
    before = token_counts(train[:-1], vocab_size)
    probability = (seen[which] + _PRIOR * unigram[val[1:]]) / (before[val[:-1]] + _PRIOR)
    return float(-np.log(probability).mean())
