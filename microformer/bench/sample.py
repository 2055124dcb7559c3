"""How fast a model writes: the engine beside the plain reference, in the same run on the same machine."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from microformer import checkpoint
from microformer.checkpoint import Loaded
from microformer.generation.engine import Engine
from microformer.generation.generate import generate
from microformer.generation.prompt import prompt_ids
from microformer.generation.sampling import Sampling

STREAMS = 8
REPEATS = 3


def bench_sample(run: str | Path = "starter", *, tokens: int = 255, prompt: str = "") -> dict[str, Any]:
    """Tokens a second of the engine (one stream, and several at once) and of the reference without a cache.

    Each is the median of three turns that alternate, so that a busy moment of the machine touches all. A text that
    ends by itself is begun again with the next seed until ``tokens`` are written. Plain JSON values.
    """
    loaded = checkpoint.load(run)
    speeds: dict[str, list[float]] = {"reference": [], "engine": [], "streams": []}
    with Engine(loaded.model, loaded.tokenizer) as engine:
        _engine(engine, prompt, 16, 1)  # the first call of each kernel sets it up
        for _ in range(REPEATS):
            speeds["reference"].append(_speed(lambda: _reference(loaded, prompt, tokens)))
            speeds["engine"].append(_speed(lambda: _engine(engine, prompt, tokens, 1)))
            speeds["streams"].append(_speed(lambda: _engine(engine, prompt, tokens, STREAMS)))
    reference, one, several = (statistics.median(speeds[name]) for name in ("reference", "engine", "streams"))
    return {
        "run": str(run),
        "parameters": sum(weight.numel() for weight in loaded.model.parameters()),
        "tokens": tokens,
        "reference_tokens_per_second": round(reference, 1),
        "engine_tokens_per_second": round(one, 1),
        "streams": STREAMS,
        "streams_tokens_per_second": round(several, 1),
        "engine_over_reference": round(one / reference, 2),
        "streams_over_engine": round(several / one, 2),
    }


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
