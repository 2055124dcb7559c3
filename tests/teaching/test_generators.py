"""One generator goes through another: its steps, its result, and its end."""

from collections.abc import Generator

from microformer.teaching.generators import finished, mapped


def lesson(events: list[str]) -> Generator[int, None, str]:
    try:
        yield 1
        yield 2
        return "learnt"
    finally:
        events.append("closed")


def test_steps_are_shown_in_another_way_and_the_result_is_the_same() -> None:
    seen: list[str] = []

    def outer() -> Generator[str, None, str]:
        result = yield from mapped(lesson([]), str)
        return result + " twice"

    work = outer()
    seen += [next(work), next(work)]
    assert seen == ["1", "2"]
    assert finished(work) == "learnt twice"


def test_a_lesson_that_is_dropped_is_closed_where_it_was() -> None:
    events: list[str] = []
    work = mapped(lesson(events), str)
    next(work)
    work.close()
    del work
    assert events == ["closed"]
