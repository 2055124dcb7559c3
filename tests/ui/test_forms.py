"""Every setting of the model and of training can be shown and read back, and bad input gets its own sentence."""

import asyncio
import dataclasses

import gradio as gr
import pytest

from microformer.errors import UserError
from microformer.model.config import ModelConfig
from microformer.settings import Setting, describe, from_dict
from microformer.training.config import TrainConfig
from microformer.ui.forms import build_form, explanation, label, limits


def form_of(cls, **options):
    async def build():
        with gr.Blocks():
            return build_form(cls, **options)

    return asyncio.run(build())  # outside of an event loop Gradio makes several and never closes them


@pytest.mark.parametrize("cls", [ModelConfig, TrainConfig])
def test_what_is_shown_reads_back_as_the_same_configuration(cls):
    form = form_of(cls)
    config = cls()
    assert from_dict(cls, form.read(form.show(config))) == config


@pytest.mark.parametrize("cls", [ModelConfig, TrainConfig])
def test_every_setting_has_a_widget_with_its_default_and_help(cls):
    form = form_of(cls)
    assert [one.name for one in form.settings] == [one.name for one in dataclasses.fields(cls) if one.metadata]
    for known, made in zip(form.settings, form.widgets, strict=True):
        assert made.value == known.default
        assert known.help in made.info


def test_a_skipped_setting_has_no_widget():
    assert "vocab_size" not in [one.name for one in form_of(ModelConfig, skip=("vocab_size",)).settings]


def test_an_empty_optional_number_is_none_and_an_empty_required_one_is_refused():
    form = form_of(TrainConfig)
    entered = dict(zip([one.name for one in form.settings], form.show(TrainConfig()), strict=True))
    assert form.read(list((entered | {"max_epochs": None}).values()))["max_epochs"] is None
    with pytest.raises(UserError, match="Batch size is empty"):
        form.read(list((entered | {"batch_size": None}).values()))


@pytest.mark.parametrize("value", [1.5, "many", float("nan"), True, [1]])
def test_a_value_of_the_wrong_kind_is_refused_with_its_name(value):
    form = form_of(TrainConfig)
    entered = dict(zip([one.name for one in form.settings], form.show(TrainConfig()), strict=True))
    with pytest.raises(UserError, match="batch_size is"):
        form.read(list((entered | {"batch_size": value}).values()))


def test_every_widget_reaches_its_limits():
    for cls in (ModelConfig, TrainConfig):
        form = form_of(cls)
        for known, made in zip(form.settings, form.widgets, strict=True):
            if isinstance(made, gr.Slider):
                assert (made.minimum, made.maximum) == (known.minimum, known.maximum)
            if isinstance(made, gr.Dropdown):
                assert [value for _, value in made.choices] == list(known.choices)


def test_names_and_limits_read_as_a_person_would_write_them():
    by_name = {one.name: one for one in describe(ModelConfig) + describe(TrainConfig)}
    assert label(by_name["learning_rate"]) == "Learning rate"
    assert label(by_name["d_model"]) == "d_model"
    assert label(by_name["ngram_rows"]) == "N-gram rows"
    assert limits(by_name["d_model"]) == "(4 to 8,192)"
    assert limits(by_name["learning_rate"]) == "(above 0, at most 10)"
    assert limits(by_name["activation"]) == ""
    assert explanation(Setting("seed", int, False, 1, "A seed.", minimum=0, maximum=9)) == "A seed. (0 to 9)"
