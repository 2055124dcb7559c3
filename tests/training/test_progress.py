"""Budgets, warm-up, and when something is due."""

from typing import Any

import pytest

from microformer.errors import UserError
from microformer.training.config import TrainConfig
from microformer.training.progress import Budget, Due, Progress


def test_minutes_win_over_epochs_and_epochs_over_steps() -> None:
    every = TrainConfig(max_steps=10, max_epochs=2, max_minutes=3)
    assert Budget.of(every, 1000, 100) == Budget(None, 180)
    assert Budget.of(TrainConfig(max_steps=10, max_epochs=2), 1000, 100) == Budget(20)
    assert Budget.of(TrainConfig(max_steps=10), 1000, 100) == Budget(10)


def test_time_for_the_last_evaluation_is_kept_but_never_more_than_half() -> None:
    budget = Budget(None, 100)
    assert budget.done(1, 90, reserve=10) == pytest.approx(1)
    assert budget.done(1, 40, reserve=1000) == pytest.approx(0.8)


def test_warm_up_is_at_most_a_quarter_of_a_short_run() -> None:
    assert Budget(20).warmup(50) == 5
    assert Budget(1000).warmup(50) == 50
    assert Budget(None, 60).warmup(50) == 50


def test_due_by_steps_or_by_time() -> None:
    due = Due(10, 30.0)
    assert not due.now(9, 29)
    assert due.now(10, 0) and due.now(1, 30)
    due.done(10, 5)
    assert not due.now(19, 34) and due.now(19, 35)


@pytest.mark.parametrize("odd", [{"seconds": "long"}, {"tokens": None}, {"best_loss": [1]}, {"step": float("inf")}])
def test_what_is_no_progress_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(odd))} is .* in the checkpoint's state"):
        Progress.from_dict(Progress().to_dict() | odd)


def test_progress_survives_a_checkpoint() -> None:
    progress = Progress()
    progress.advance(64, 1.5)
    assert progress.judge(2.0, 3.0) and not progress.judge(2.5, 3.5)
    again = Progress.from_dict(progress.to_dict() | {"threads": 2, "later": "field"})
    assert again == progress and again.best_step == 1 and again.evaluations_since_best == 1
