"""Which number format a run's arithmetic uses; weights and optimizer state are always kept in fp32."""

import functools
import time

import torch

from microformer.errors import UserError

WORTH_IT = 1.3
"""bf16 must do matrix products this much faster than fp32 to make up for its coarser numbers and its conversions."""

LARGEST_TRIAL = 1024
"""Larger products than this one tell the same, and would take seconds."""


def choose_precision(asked: str, device: torch.device, *, tokens: int, width: int) -> tuple[str, str]:
    """``fp32`` or ``bf16`` for ``tokens`` x ``width`` activations, and why, in words.

    ``auto`` measures on a CPU (a tenth of a second): without bf16 instructions the same product is a hundred times
    slower there. Raises ``UserError`` for a format the device cannot do.
    """
    if asked == "fp16":
        raise UserError("precision is fp16, which this machine cannot train with; use bf16, fp32 or auto.")
    if asked != "auto":
        return asked, f"{asked}, as asked"
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported()
        return ("bf16", "bf16, which this GPU has") if able else ("fp32", "fp32, because this GPU has no bf16")
    ratio = cpu_speedup(min(tokens, LARGEST_TRIAL), min(width, LARGEST_TRIAL))
    chosen = "bf16" if ratio >= WORTH_IT else "fp32"
    return chosen, f"{chosen} (bf16 was measured {ratio:.2g} times as fast as fp32)"


@functools.lru_cache(maxsize=64)
def cpu_speedup(tokens: int, width: int) -> float:
    """How many times faster a bf16 matrix product is than an fp32 one on this CPU; measured once in a process."""
    return _seconds(torch.float32, tokens, width) / _seconds(torch.bfloat16, tokens, width)


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
