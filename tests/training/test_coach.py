"""The coach over the curves of real runs, good and bad ones (see recorded/record.py), at several moments of each."""

import json
from pathlib import Path
from typing import Any

import pytest

from microformer.training.coach import RULES, Advice, advise

RECORDED = Path(__file__).parent / "recorded"
MOMENTS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def advice(name: str) -> list[list[Advice]]:
    """What the coach says at each moment of a recorded run."""
    run = json.loads((RECORDED / f"{name}.json").read_text())
    rows = [dict(zip(("step", "loss", "val_loss"), row, strict=True)) for row in run["rows"]]
    known: dict[str, Any] = {one: run[one] for one in ("train_tokens", "parameters", "context")}
    known["document_tokens"] = run["train_tokens"] / run["documents"]
    return [
        advise(
            rows[: max(1, int(len(rows) * moment))],
            state=run["state"] if moment == 1 else "running",
            done=moment * run["done"],
            **known,
        )
        for moment in MOMENTS
    ]


@pytest.mark.parametrize("name", [rule.name for rule in RULES])
def test_each_rule_fires_on_a_run_that_went_that_way_and_no_other_does(name: str) -> None:
    said = [one for moment in advice(name) for one in moment]
    assert {one.name for one in said} == {name}
    assert all(one.text.count(". ") >= 1 and "nan" not in one.text for one in said)


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("healthy*.json")))
def test_a_healthy_run_is_left_in_peace(name: str) -> None:
    assert advice(name) == [[]] * len(MOMENTS)


def test_nothing_is_said_before_there_is_anything_to_see() -> None:
    assert advise([]) == []
    assert advise([{"step": 1, "loss": 4.2, "val_loss": None}]) == []


def test_a_run_that_fell_apart_is_told_one_thing_only() -> None:
    assert max(len(said) for said in advice("rate too high")) == 1
