"""Lessons are generators, which yield their progress and return their result: how one goes through another."""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

Step = TypeVar("Step")
Shown = TypeVar("Shown")
Result = TypeVar("Result")


def mapped(work: Generator[Step, None, Result], show: Callable[[Step], Shown]) -> Generator[Shown, None, Result]:
    """``work`` with ``show`` of each of its steps in the step's place; it returns what ``work`` returns."""
    while True:
        try:
            step = next(work)
        except StopIteration as end:
            result: Result = end.value
            return result
        yield show(step)


def finished(work: Generator[Any, None, Result]) -> Result:
    """What a generator returns in the end, when nobody stops it."""
    try:
        while True:
            next(work)
    except StopIteration as end:
        result: Result = end.value
        return result
