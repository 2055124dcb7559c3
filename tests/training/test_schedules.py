"""Learning rates rise, fall and end where they should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microformer.training.schedules import SHAPES, learning_rate_factor

FALLING = [name for name in SHAPES if name != "constant"]


@pytest.mark.parametrize("schedule", SHAPES)
@given(done=st.floats(0, 1), floor=st.floats(0, 1))
def test_factor_stays_between_zero_and_one(schedule: str, done: float, floor: float) -> None:
    assert 0 <= SHAPES[schedule](done, floor) <= 1 + 1e-9


@pytest.mark.parametrize("schedule", FALLING)
def test_ends_at_the_floor(schedule: str) -> None:
    assert SHAPES[schedule](1.0, 0.1) == pytest.approx(0.1)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd"])
def test_never_rises_after_the_warm_up(schedule: str) -> None:
    factors = [SHAPES[schedule](done / 100, 0.05) for done in range(101)]
    assert factors[0] == pytest.approx(1)
    assert factors == sorted(factors, reverse=True)


def test_one_cycle_rises_then_falls() -> None:
    factors = [SHAPES["one_cycle"](done / 100, 0.0) for done in range(101)]
    assert factors[0] == pytest.approx(0.04)
    assert max(factors) == pytest.approx(factors[30])


def test_warm_up_reaches_the_full_rate_at_its_last_step() -> None:
    rising = [
        learning_rate_factor("constant", done=0.0, step=step, warmup_steps=4, floor=0.1) for step in (1, 2, 3, 4, 5)
    ]
    assert rising == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_no_warm_up_begins_at_the_full_rate() -> None:
    assert learning_rate_factor("cosine", done=0.0, step=1, warmup_steps=0, floor=0.1) == 1.0


def test_time_past_the_end_stays_at_the_floor() -> None:
    assert learning_rate_factor("linear", done=1.7, step=100, warmup_steps=0, floor=0.2) == pytest.approx(0.2)
