"""Lanes: threads that each do a part of a step alone and meet when all are done.

PyTorch's own threads meet at each of a step's thousand operations, and wake one another for it, which on a CPU takes
longer than most of those operations.
"""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from microformer.generation.threads import threads

T = TypeVar("T")


def side_by_side(work: Callable[[int], T], lanes: int) -> list[T]:
    """What ``work(lane)`` returns for each of so many lanes, which run at the same time, the first in this thread."""
    with threads(1):
        others = [_pool(lanes - 1).submit(work, lane) for lane in range(1, lanes)]
        return [work(0), *(other.result() for other in others)]


@functools.cache
def _pool(size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, "lane", initializer=torch.set_num_threads, initargs=(1,))
