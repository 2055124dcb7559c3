"""Going through a lesson to its end at the terminal."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, TypeVar

from microformer.commands import output

if TYPE_CHECKING:
    from microformer.teaching.session import Session
    from microformer.teaching.teach import Progress

T = TypeVar("T")


def finished(lesson: "Generator[Progress, None, T]", *, keep: "Callable[[Session], None]" = lambda session: None) -> T:
    """What a lesson returns, showing on the way how far it is. Ctrl-C has ``keep`` keep what was learnt until then."""
    show = output.progress()
    now: Progress | None = None
    while True:
        try:
            now = next(lesson)
        except StopIteration as end:
            show(1.0, "done")
            result: T = end.value
            return result
        except KeyboardInterrupt:
            if now is not None:
                keep(now.session)
            raise
        fraction = min(now.done / max(now.of, 1), 0.99)
        show(fraction, f"{now.phase}, step {now.step}; {now.recited} of {now.listed} facts are said exactly")
