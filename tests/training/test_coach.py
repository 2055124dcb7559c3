"""Curves as runs leave them: a decay with some noise, bent in the way each rule looks for."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from microformer.training.coach import RULES, advise


def curve(
    loss: Callable[[float], float],
    validation: Callable[[float], float] | None = None,
    *,
    steps: int = 1000,
    noise: float = 0.02,
) -> list[dict[str, Any]]:
    """Rows of metrics: a training loss every 10 steps, evaluations every 100; functions of the share of the run."""
    chance = random.Random(3)
    rows = []
    for step in range(10, steps + 1, 10):
        judged = step % 100 == 0
        done = step / steps
        value = (validation or (lambda share: loss(share) + 0.05))(done) if judged else None
        rows.append({"step": step, "loss": loss(done) + chance.gauss(0, noise), "val_loss": value})
    return rows


def healthy(done: float) -> float:
    return 1.5 + 2.7 * math.exp(-6 * done)


CURVES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "diverged": (curve(healthy)[:40], {"state": "diverged", "done": 0.4}),
    "rate too high": (curve(lambda done: healthy(done) if done < 0.3 else 4.0), {"done": 0.6}),
    "overfitting": (
        curve(lambda done: 2.2 - 1.4 * done, lambda done: 1.7 + 2 * (done - 0.4) ** 2),
        {"done": 1.0, "train_tokens": 10**7, "parameters": 10**6},
    ),
    "text too small": (
        curve(lambda done: 2.2 - 1.4 * done, lambda done: 1.7 + 2 * (done - 0.4) ** 2),
        {"done": 1.0, "train_tokens": 10**5, "parameters": 10**6},
    ),
    "rate too low": (curve(lambda done: 4.2 - 0.8 * done), {"done": 0.7}),
    "plateau": (curve(lambda done: max(2.0, healthy(done * 3)), lambda done: 2.1, noise=0.001), {"done": 0.6}),
}


@pytest.mark.parametrize("name", [rule.name for rule in RULES])
def test_each_rule_fires_on_its_curve(name: str) -> None:
    rows, known = CURVES[name]
    advice = advise(rows, **known)
    assert name in [one.name for one in advice]
    assert all(one.text.count(". ") >= 1 and "nan" not in one.text for one in advice)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 1.0])
def test_a_healthy_run_is_left_in_peace(share: float) -> None:
    rows = curve(healthy)
    state = "finished" if share == 1.0 else "running"
    known: dict[str, Any] = {"state": state, "done": share, "train_tokens": 10**6, "parameters": 800_000}
    assert advise(rows[: int(len(rows) * share)], **known) == []


def test_nothing_is_said_before_there_is_anything_to_see() -> None:
    assert advise([]) == []
    assert advise([{"step": 1, "loss": 4.2, "val_loss": None}]) == []


def test_a_run_that_fell_apart_is_told_one_thing_only() -> None:
    rows, known = CURVES["rate too high"]
    assert len(advise(rows, **known)) == 1
