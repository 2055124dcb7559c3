"""Which number format a run's arithmetic uses; weights and optimizer state are always kept in fp32."""

import functools
import platform
import time
from pathlib import Path

import torch

from microformer.errors import UserError
from microformer.training.speed import SpeedMemory

WORTH_IT = 1.3
"""bf16 must do matrix products this much faster than fp32 to make up for its coarser numbers and its conversions."""

LARGEST_TRIAL = 1024
"""Larger products than this one tell the same, and would take seconds."""


def choose_precision(
    asked: str, device: torch.device, *, tokens: int, width: int, home: Path | None = None
) -> tuple[str, str]:
    """``fp32`` or ``bf16`` for ``tokens`` x ``width`` activations, and why, in words.

    ``auto`` measures on a CPU (a tenth of a second) and remembers it in ``home``: without bf16 instructions the same
    product is a hundred times slower there. Raises ``UserError`` for a format the device cannot do.
    """
    if asked == "fp16":
        raise UserError("precision is fp16, which this machine cannot train with; use bf16, fp32 or auto.")
    if asked != "auto":
        return asked, "as asked"
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported()
        return ("bf16", "this GPU has it") if able else ("fp32", "this GPU has no bf16")
    ratio = cpu_speedup(min(tokens, LARGEST_TRIAL), min(width, LARGEST_TRIAL), home)
    if ratio >= WORTH_IT:
        return "bf16", f"measured {ratio:.2g} times as fast as fp32"
    return "fp32", f"bf16 was measured {ratio:.2g} times as fast"


@functools.lru_cache(maxsize=64)
def cpu_speedup(tokens: int, width: int, home: Path | None = None) -> float:
    """How many times faster a bf16 matrix product is than an fp32 one on this CPU; measured once and remembered.

    Something else may be busy during a measurement, which makes a product too slow but never too fast: a close result
    is measured again by the next process, and the fastest of each counts.
    """
    memory, kinds = SpeedMemory(home), (torch.float32, torch.bfloat16)
    machine = [platform.node(), torch.backends.cpu.get_cpu_capability(), torch.__version__, torch.get_num_threads()]
    key = ["bf16", machine, tokens, width]
    known = memory.trial(key)
    if known is None or 0.7 * WORTH_IT < known[0] / known[1] < 1.4 * WORTH_IT:
        measured = [_seconds(kind, tokens, width) for kind in kinds]
        known = [min(pair) for pair in zip(measured, known or measured, strict=True)]
        memory.keep_trial(key, known)
    return known[0] / known[1]


def _seconds(dtype: torch.dtype, tokens: int, width: int) -> float:
    """Time of one product, the best of a few; only one is done when it takes long."""
    left, right = torch.ones(tokens, width, dtype=dtype), torch.ones(width, 4 * width, dtype=dtype)
    best, began = float("inf"), time.perf_counter()
    for _ in range(6):
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - began > 0.05:
            break
    return best
