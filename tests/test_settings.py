"""Settings are read strictly, and what is wrong is said in one sentence."""

import re
from pathlib import Path
from typing import Any

import pytest

from microformer.errors import UserError
from microformer.presets import load_preset
from microformer.settings import describe, from_dict
from microformer.training.config import TrainConfig


@pytest.mark.parametrize(("value", "expected"), [("3e-4", 3e-4), (1, 1.0), ("0.5", 0.5)])
def test_numbers_written_as_text_are_numbers(value: Any, expected: float) -> None:
    assert from_dict(TrainConfig, {"learning_rate": value}).learning_rate == expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"learning_rat": 1}, "no setting training.learning_rat; did you mean learning_rate"),
        ({"learning_rate": -1}, "learning_rate is -1.0, but must be a number more than 0 and at most 10"),
        ({"learning_rate": "fast"}, "training.learning_rate is 'fast'"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"batch_size": 1.5}, "training.batch_size is 1.5, but must be a whole number"),
        ({"batch_size": 10**400}, "training.batch_size is 1000"),
        ({"batch_size": True}, "training.batch_size is True"),
        ({"batch_size": None}, "training.batch_size is None"),
        ({"precision": "fp8"}, "precision is 'fp8', but must be one of auto, fp32"),
        ({"max_steps": 0}, "max_steps is 0, but must be a whole number at least 1"),
    ],
)
def test_wrong_values_are_refused_with_name_value_and_what_is_allowed(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words.replace("(", r"\(")):
        from_dict(TrainConfig, values, where="training.")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "must be a list of settings"),
        ("max_steps: 5", "no part max_steps in a configuration; it belongs under training"),
        ("d_model: 5", "no part d_model in a configuration; it belongs under model"),
        ("1: 2", "no part 1 in a configuration; known are about, task, model, training"),
        ("model: [1]", "model is [1], but must be a list of settings"),
        ("about: [1]", "about is [1], but must be text"),
        ("labels: 5", "labels is 5, but must be a list of names"),
        ("value_mean: abc", "value_mean is 'abc', but must be a number"),
    ],
)
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=re.escape(words)):
        load_preset(tmp_path / "a.yaml")


def test_every_field_of_a_settings_class_carries_help() -> None:
    assert len(describe(TrainConfig)) == len(TrainConfig.__dataclass_fields__)
    assert all(one.help.endswith(".") for one in describe(TrainConfig))
