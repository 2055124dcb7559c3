"""Lanes: threads that each do a part of a step alone and meet when all are done.

PyTorch's own threads meet at each of a step's thousand operations, and wake one another for it, which on a CPU takes
longer than most of those operations.
"""

import contextlib
import ctypes
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from microformer.generation.threads import threads

T = TypeVar("T")

WORTH_SHARING = 2.5e7
"""Weights times tokens of a step from which a second lane was measured to help; below, one is up to twice as fast."""

# Of glibc's mallopt: from how many bytes an allocation is mapped anew, what is kept at the end of a heap, how it grows.
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD = -3, -1, -2


def side_by_side(work: Callable[[int], T], lanes: int) -> list[T]:
    """What ``work(lane)`` returns for each of so many lanes, which run at the same time, the first in this thread."""
    with threads(1):
        others = [_pool(lanes - 1).submit(work, lane) for lane in range(1, lanes)]
        return [work(0), *(other.result() for other in others)]


def worth_sharing(work: float) -> bool:
    """Whether a step whose weights times tokens are ``work`` is done sooner in several lanes."""
    return work >= WORTH_SHARING


@functools.cache
def _pool(size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, "lane", initializer=torch.set_num_threads, initargs=(1,))


def keep_memory() -> None:
    """Have this process keep what it frees, where the C library can be told so.

    Each step needs the same memory again. Given back and asked for anew, it is cleared by the system page by page,
    which was measured to take 3 % of a step.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        for setting, size in ((M_MMAP_THRESHOLD, 2**25), (M_TRIM_THRESHOLD, 2**30), (M_TOP_PAD, 2**26)):
            libc.mallopt(setting, size)
