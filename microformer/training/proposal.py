"""For "I have three minutes": the preset and batch that make the best of them on this machine and text.

What it expects is a rule fitted to recorded runs (``tests/benchmarks/scaling.py``): three texts, by characters and in
pieces, models of 0.4 to 1.8 million parameters, 0.1 to 10 million tokens.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from microformer.data.datasets import Dataset
from microformer.data.ngrams import ngram_loss
from microformer.errors import UserError
from microformer.model.config import ModelConfig
from microformer.model.profile import profile
from microformer.training.config import RunConfig
from microformer.training.estimate import known_seconds_per_step, seconds_per_step, training_memory
from microformer.training.runtime import find_device

SCALE, OF_READING, OF_HARDNESS = 0.75, -0.104, 1.26
"""Bits per byte are SCALE x megabytes learned from ^ OF_READING x what counting alone reaches ^ OF_HARDNESS."""
SCALE_LOOKED_UP, OF_READING_LOOKED_UP = 0.70, -0.061
"""The same for models that look up n-grams: they have learned more at first, and gain less later."""
WITHIN = 0.14
"""How far off the rule was, root mean square, on a text that it was not fitted to."""
USED = 0.88
"""Share of a budget in minutes that goes into steps; the rest starts, evaluates and saves."""
TOKENS_PER_PARAMETER = 10.0
"""What a model reads beyond that teaches it little: there the smallest of the recorded runs fell behind its curve."""
PASSES_LOOKED_UP = 4.0
"""How often a table of n-grams can be trained on the same text before it only learns it by heart."""
PARAMETERS_PER_BYTE = 2.0
"""A model with more learns the text by heart."""
ANY_TEXT = 500_000
"""Parameters of a model that is offered for any text."""
FEWEST_STEPS, MOST_STEPS, SMALLEST_BATCH, LARGEST_BATCH = 200, 8000, 4, 64


@dataclass(frozen=True)
class Text:
    """What is known of a text: its hardness is the bits per byte that counting alone reaches (``ngram_loss``)."""

    train_tokens: int
    bytes_per_token: float
    vocab_size: int
    hardness: float | None


TALES = Text(4_509_574, 0.998, 313, 1.065)
"""Tiny Tales that are yet to be made: 5 MB in characters."""


@dataclass(frozen=True)
class Proposal:
    """A preset's name, the settings to put over it, and in a sentence what to expect of it."""

    preset: str
    training: dict[str, Any]
    seconds_per_step: float
    steps: int
    bits_per_byte: float | None
    sentence: str


def propose(
    minutes: float, dataset: Path | None, ladder: Mapping[str, RunConfig], home: Path | None = None
) -> Proposal:
    """The best run of ``minutes`` on a dataset (``None``: Tiny Tales that are yet to be made).

    Of the presets in ``ladder`` it is the one that is expected to learn most in that time: small ones read faster,
    large ones have more room. Takes about two seconds where no step was tried here before.
    Raises ``UserError`` for minutes out of their range, or when nothing suits the text.
    """
    text = TALES if dataset is None else known_text(Path(dataset))
    sized = {name: _for(config, text, minutes) for name, config in ladder.items()}
    suited = {name: config for name, config in sized.items() if _fits(config, text)}
    if not suited:
        raise UserError("No preset suits this text and machine; take a longer text.")
    paces = step_seconds(suited, home)

    def expected(name: str) -> float:
        tokens = USED * 60 * minutes / paces[name] * _tokens_per_step(suited[name])
        return _expected(suited[name], text, tokens)

    chosen = min(suited, key=expected)
    return _proposal(chosen, suited[chosen], paces[chosen], minutes, text)


def useful_tokens(model: ModelConfig, tokens: float, train_tokens: int) -> float:
    """How many of the tokens that a model reads, of a text of ``train_tokens``, have a part in what it reaches."""
    useful = min(tokens, TOKENS_PER_PARAMETER * profile(model).network_parameters)
    return min(useful, PASSES_LOOKED_UP * train_tokens) if model.ngram_rows else useful


def expected_bits_per_byte(hardness: float, bytes_read: float, *, looks_up: bool) -> float:
    """What a model, which looks up n-grams or does not, reaches on a text after it has read so many useful bytes."""
    scale, exponent = (SCALE_LOOKED_UP, OF_READING_LOOKED_UP) if looks_up else (SCALE, OF_READING)
    return scale * (bytes_read / 1e6) ** exponent * hardness**OF_HARDNESS


@functools.lru_cache(maxsize=16)
def known_text(directory: Path) -> Text:
    """What a prepared dataset is like; about a second."""
    dataset = Dataset.open(directory)
    size, per_token = dataset.info.vocab_size, dataset.val_bytes / max(1, len(dataset.val))
    hardness = None
    if dataset.kind == "text":
        hardness = ngram_loss(dataset.train, dataset.val, size) / math.log(2) / per_token
    return Text(len(dataset.train), per_token, size, hardness)


def step_seconds(configs: Mapping[str, RunConfig], home: Path | None) -> dict[str, float]:
    """The time of each one's step: as runs have shown, or else in proportion to its FLOPs, by a trial of the smallest.

    That makes large models a little too slow, since their products are more efficient.
    """
    smallest = min(configs.values(), key=_step_flops)
    known = {name: None if home is None else known_seconds_per_step(one, home) for name, one in configs.items()}
    pace = seconds_per_step(smallest, home) / _step_flops(smallest) if None in known.values() else 0.0
    return {name: known[name] or pace * _step_flops(one) for name, one in configs.items()}


def _proposal(name: str, config: RunConfig, step: float, minutes: float, text: Text) -> Proposal:
    batch, seconds = config.training.batch_size, USED * 60 * minutes
    while batch > SMALLEST_BATCH and seconds / step < FEWEST_STEPS:
        batch, step = batch // 2, step / 2
    while 2 * batch <= LARGEST_BATCH and seconds / step > MOST_STEPS:
        batch, step = batch * 2, step * 2
    steps = max(1, round(seconds / step))
    tokens = steps * batch * config.model.max_seq_len
    bits = None
    if text.hardness is not None and config.task in ("auto", "language_modelling"):
        bits = _expected(config, text, tokens)
    expected = "" if bits is None else f" and comes to about {bits:.2g} bits per byte, give or take {WITHIN:.0%}"
    size = profile(config.model).total_parameters
    span = f"{minutes:g} minute{'' if minutes == 1 else 's'}"
    return Proposal(
        name,
        {"max_minutes": minutes, "max_steps": None, "max_epochs": None, "batch_size": batch},
        step,
        steps,
        bits,
        f"In {span} {name} ({size / 1e6:.1f} million parameters, batches of {batch}) takes about "
        f"{steps:,} steps here, reads the text {tokens / text.train_tokens:.2g} times{expected}.",
    )


def _expected(config: RunConfig, text: Text, tokens: float) -> float:
    """Bits per byte after so many tokens, or what is in proportion to them where nothing is known of the text."""
    useful = useful_tokens(config.model, tokens, text.train_tokens) * text.bytes_per_token
    return expected_bits_per_byte(text.hardness or 1.0, useful, looks_up=config.model.ngram_rows > 0)


def _for(config: RunConfig, text: Text, minutes: float) -> RunConfig:
    training = replace(config.training, max_minutes=minutes, max_steps=None, max_epochs=None)
    return replace(config, model=replace(config.model, vocab_size=text.vocab_size), training=training)


def _fits(config: RunConfig, text: Text) -> bool:
    """Whether the text is longer than the context and more than the model learns by heart, and memory suffices."""
    needed = training_memory(config, find_device(config.training.device))
    most = max(PARAMETERS_PER_BYTE * text.train_tokens * text.bytes_per_token, ANY_TEXT)
    enough = config.model.max_seq_len < text.train_tokens and profile(config.model).network_parameters <= most
    return enough and needed < psutil.virtual_memory().available


def _tokens_per_step(config: RunConfig) -> int:
    return config.training.batch_size * config.model.max_seq_len


def _step_flops(config: RunConfig) -> int:
    return _tokens_per_step(config) * profile(config.model).training_flops
