"""Work that takes turns: a queue that is fair between owners, and jobs that are done a step at a time."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterator
from typing import Any, Generic, TypeVar

from microformer.errors import UserError

T = TypeVar("T")
CANCELLED = "This was stopped before it was finished; nothing was changed."


class FairQueue(Generic[T]):
    """Items wait in line behind those of the same owner, and owners take turns. Not thread-safe by itself."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def __iter__(self) -> Iterator[T]:
        return (item for line in self._lines.values() for item in line)

    def line(self, owner: str) -> list[T]:
        """What waits for one owner, first come first."""
        return list(self._lines.get(owner, ()))

    def put(self, owner: str, item: T) -> None:
        """Wait behind what the owner already has in line."""
        self._lines.setdefault(owner, deque()).append(item)

    def put_back(self, owner: str, item: T) -> None:
        """Wait before what the owner already has in line, for an item that is not finished; other owners go first."""
        self._lines.setdefault(owner, deque()).appendleft(item)

    def take(self, may: Callable[[str], bool] = lambda owner: True) -> tuple[str, T] | None:
        """The next item of the first owner in turn who may have one, or ``None``; then it is the others' turn."""
        for owner, line in self._lines.items():
            if may(owner):
                item = line.popleft()
                if line:
                    self._lines.move_to_end(owner)
                else:
                    del self._lines[owner]
                return owner, item
        return None


class Job(Generic[T]):
    """A generator that the engine advances between tokens: it yields its progress and returns its result.

    ``progress`` is the latest thing it yielded. Cancelling closes the generator where it last yielded, so a job that
    changes nothing before it returns can be interrupted without harm.
    """

    def __init__(self, steps: Generator[Any, None, T]) -> None:
        self.progress: Any = None
        self.error: BaseException | None = None
        self._steps = steps
        self._result: list[T] = []
        self._cancelled = False
        self._started = False
        self._ended = threading.Event()
        self._lock = threading.Lock()

    @property
    def done(self) -> bool:
        return self._ended.is_set()

    def cancel(self) -> None:
        """Stop it before its next step. Cancelling twice, or too late, does nothing."""
        with self._lock:
            self._cancelled = True
            if not self._started:
                self.fail(UserError(CANCELLED))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is done, at most ``timeout`` seconds; says whether it is. Never call it from another job."""
        return self._ended.wait(timeout)

    def result(self, timeout: float | None = None) -> T:
        """What the generator returned, once it is done. Raises what it raised; ``UserError`` when it was cancelled."""
        if not self.wait(timeout):
            raise UserError(f"This was not finished within {timeout:g} seconds; wait for it, or stop it.")
        if self.error is not None:
            raise self.error
        return self._result[0]

    def advance(self) -> bool:
        """For the engine: do one step; says whether there is more to do."""
        with self._lock:
            self._started = True
            if self._cancelled:
                self.fail(UserError(CANCELLED))
        try:
            if self.done:
                self._steps.close()
            else:
                self.progress = next(self._steps)
        except StopIteration as finished:
            self._result.append(finished.value)
            self._ended.set()
        except BaseException as error:  # whatever it is belongs to whoever waits for the result, not to the engine
            self.fail(error)
        return not self.done

    def fail(self, error: BaseException) -> None:
        """For the engine: end it with an error."""
        if not self.done:
            self.error = error
            self._ended.set()
