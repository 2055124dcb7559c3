"""Owners take turns, and a job never takes more than its own error with it."""

from collections.abc import Generator

import pytest

from microformer.errors import UserError
from microformer.generation.jobs import FairQueue, Job


def count(n: int) -> Generator[int, None, str]:
    yield from range(n)
    return "done"


def drain(queue: FairQueue[str]) -> str:
    taken = []
    while (one := queue.take()) is not None:
        taken.append(one[1])
    return " ".join(taken)


def test_owners_take_turns_and_each_line_keeps_its_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.put(item[0], item)
    assert len(queue) == 6
    assert drain(queue) == "a1 b1 c1 a2 b2 a3"
    assert len(queue) == 0


def test_an_unfinished_item_goes_first_in_its_own_line_and_last_among_owners() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "b1"):
        queue.put(item[0], item)
    taken = queue.take()
    assert taken == ("a", "a1")
    queue.put_back(*taken)
    assert queue.line("a") == ["a1", "a2"]
    assert drain(queue) == "b1 a1 a2"


def test_owners_who_may_not_are_passed_over() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.put("a", "a1")
    assert queue.take(lambda owner: owner != "a") is None
    queue.put("b", "b1")
    assert queue.take(lambda owner: owner != "a") == ("b", "b1")
    assert queue.line("a") == ["a1"]


def test_a_job_shows_its_progress_and_then_its_result() -> None:
    job = Job(count(2))
    assert job.advance() and job.progress == 0
    assert job.advance() and job.progress == 1
    assert not job.done
    assert not job.advance()
    assert job.result() == "done"


def test_a_cancelled_job_is_closed_where_it_was() -> None:
    events = []

    def careful() -> Generator[int, None, None]:
        try:
            yield 1
            events.append("went on")
        finally:
            events.append("closed")

    job = Job(careful())
    job.advance()
    job.cancel()
    job.cancel()
    assert not job.advance()
    assert events == ["closed"]
    with pytest.raises(UserError, match="stopped"):
        job.result()


def test_a_job_cancelled_before_its_turn_is_done_at_once() -> None:
    job = Job(count(2))
    job.cancel()
    assert job.done
    assert not job.advance()


def test_what_a_job_raises_comes_out_of_its_result() -> None:
    def failing() -> Generator[int, None, None]:
        yield 1
        raise ZeroDivisionError("by itself")

    job = Job(failing())
    assert job.advance()
    assert not job.advance()
    with pytest.raises(ZeroDivisionError):
        job.result()


def test_a_result_that_does_not_come_in_time_is_a_sentence() -> None:
    with pytest.raises(UserError, match="not finished"):
        Job(count(1)).result(timeout=0)
