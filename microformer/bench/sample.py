"""How fast a model writes: the engine beside the plain reference, in the same run on the same machine."""

import contextlib
import functools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from microformer import checkpoint
from microformer.adapters.quantize import quantized, weight_bytes
from microformer.checkpoint import Loaded
from microformer.generation.engine import Engine
from microformer.generation.generate import generate
from microformer.generation.prompt import prompt_ids
from microformer.generation.sampling import Sampling, allowed
from microformer.generation.speculative import speculate
from microformer.model.config import BITS
from microformer.model.transformer import Transformer

STREAMS = 8
REPEATS = 3
COMPARED = 64
"""Tokens over which a draft is compared with its target."""


def bench_sample(
    run: str | Path = "starter", *, draft: str | Path | None = None, tokens: int = 255, prompt: str = ""
) -> dict[str, Any]:
    """Tokens a second of the engine (one stream, and several at once) and of the reference without a cache.

    One stream also with the weights in fewer bits and, given a ``draft`` run, by speculative decoding. Each is the
    median of three turns that alternate, so that a busy moment of the machine touches all. A text that ends by itself
    is begun again with the next seed until ``tokens`` are written. ``drafted_kept`` is the probability that the model
    keeps a token of the draft. Plain JSON values.
    """
    loaded = checkpoint.load(run)
    smaller = [] if loaded.model.config.bits < 32 else [(bits, quantized(loaded.model, bits)) for bits in BITS[1:]]
    with contextlib.ExitStack() as open_:
        engine = open_.enter_context(Engine(loaded.model, loaded.tokenizer))
        ways: dict[str, Callable[[], int]] = {
            "reference": lambda: _reference(loaded, prompt, tokens),
            "engine": lambda: _engine(engine, prompt, tokens, 1),
            "streams": lambda: _engine(engine, prompt, tokens, STREAMS),
        }
        for bits, model in smaller:
            other = open_.enter_context(Engine(model, loaded.tokenizer))
            ways[f"{bits}_bits"] = functools.partial(_engine, other, prompt, tokens, 1)
        agreement: dict[str, float] = {}
        if draft is not None:
            drafting = checkpoint.load(draft)
            ways["speculative"] = lambda: _speculative(loaded, drafting, prompt, tokens)
            agreement = {"drafted_kept": round(_kept(loaded, drafting, prompt), 3)}
        speeds = {name: list[float]() for name in ways}
        for name, write in ways.items():
            if name != "reference":
                write()  # the first call of each kernel sets it up
        for _ in range(REPEATS):
            for name, write in ways.items():
                speeds[name].append(_speed(write))
    return {
        "run": str(run),
        "parameters": sum(weight.numel() for weight in loaded.model.parameters()),
        "tokens": tokens,
        **_compared(speeds),
        **agreement,
        **{f"{bits}_bits_times_smaller": _times_smaller(loaded.model, model) for bits, model in smaller},
    }


def _compared(speeds: dict[str, list[float]]) -> dict[str, float]:
    """The median tokens a second of each way to write, and how they compare."""
    median = {name: statistics.median(some) for name, some in speeds.items()}
    reference, engine, streams = (median.pop(name) for name in ("reference", "engine", "streams"))
    return {
        "reference_tokens_per_second": round(reference, 1),
        "engine_tokens_per_second": round(engine, 1),
        "streams": STREAMS,
        "streams_tokens_per_second": round(streams, 1),
        "engine_over_reference": round(engine / reference, 2),
        "streams_over_engine": round(streams / engine, 2),
        **{f"{name}_tokens_per_second": round(speed, 1) for name, speed in median.items()},
        **{f"{name}_over_engine": round(speed / engine, 2) for name, speed in median.items()},
    }


def _times_smaller(model: Transformer, small: Transformer) -> float:
    return round(weight_bytes(model) / weight_bytes(small), 2)


def _speed(write: Callable[[], int]) -> float:
    began = time.perf_counter()
    written = write()
    return written / (time.perf_counter() - began)


def _reference(loaded: Loaded, prompt: str, tokens: int) -> int:
    """Write ``tokens`` tokens without a cache; returns how many."""
    ids = prompt_ids(loaded.tokenizer, prompt)
    written = seed = 0
    while written < tokens:
        sampling = Sampling(max_tokens=tokens - written, seed=seed)
        written += sum(1 for _ in generate(loaded.model, ids, sampling, end_id=loaded.tokenizer.end_id))
        seed += 1
    return written


def _speculative(loaded: Loaded, draft: Loaded, prompt: str, tokens: int) -> int:
    """Write ``tokens`` tokens that ``draft`` proposes and ``loaded`` checks; returns how many."""
    ids = prompt_ids(loaded.tokenizer, prompt)
    written = seed = 0
    while written < tokens:
        sampling = Sampling(max_tokens=tokens - written, seed=seed)
        written += sum(1 for _ in speculate(loaded.model, draft.model, ids, sampling, end_id=loaded.tokenizer.end_id))
        seed += 1
    return written


@torch.inference_mode()
def _kept(loaded: Loaded, draft: Loaded, prompt: str) -> float:
    """With what probability a drafted token is kept, on average over a text of the model's own (the share that the
    two distributions have in common)."""
    context = min(one.model.config.max_seq_len for one in (loaded, draft))
    ids = prompt_ids(loaded.tokenizer, prompt)[: context // 2]
    sampling = Sampling(max_tokens=min(COMPARED, context - len(ids)))
    ids += [choice.id for choice in generate(loaded.model, ids, sampling, end_id=loaded.tokenizer.end_id)]
    texts = [ids[:end] for end in range(1, len(ids) + 1)]
    target, guess = (allowed(one.model(torch.tensor([ids]))[0], sampling, texts) for one in (loaded, draft))
    return float(torch.minimum(target, guess).sum(-1).mean())


def _engine(engine: Engine, prompt: str, tokens: int, streams: int) -> int:
    """Write at least ``streams * tokens`` tokens, ``streams`` texts at a time; returns how many.

    The end of a text counts as a token here as in the reference: it costs a step as well.
    """
    written = seed = 0
    wanted = streams * tokens
    while written < wanted:
        sampling = Sampling(max_tokens=min(tokens, -(-(wanted - written) // streams)), seed=seed, num_samples=streams)
        for stream in engine.samples(prompt, sampling):
            stream.result()
            written += len(stream.tokens) + (stream.stop_reason == "endoftext")
        seed += streams
    return written
