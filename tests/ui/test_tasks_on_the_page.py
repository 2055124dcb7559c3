"""Rows with labels, values or targets on the page: a plan that suits them, and what a trained model makes of a text."""

from pathlib import Path

import pytest

from microformer.data.prepare import prepare
from microformer.errors import UserError
from microformer.model.profile import parameters_by_part
from microformer.training.loop import train
from microformer.training.run_directory import Run
from microformer.ui.actions import plans, preparing, runs, sample
from microformer.ui.actions import train as starting
from microformer.ui.actions.looks import look
from microformer.ui.actions.text_choice import TextChoice
from microformer.ui.actions.words import SCORES
from microformer.ui.prediction import prediction_html
from microformer.ui.workspace import Visitor, Workspace
from tests.ui.small_runs import settings

ROWS = {
    "classification": "text,label\n" + "A <b>good</b> day.,good\nA bad day.,bad\n" * 60,
    "regression": "text,value\n" + "Two apples.,2\nThree pears.,3\n" * 60,
    "sequence_to_sequence": "source,target\n" + "Where is it?,Here.\nWho is it?,Ann.\n" * 60,
}


HOSTED = False


@pytest.mark.parametrize("task", ROWS)
def test_a_run_on_rows_learns_what_they_are_for_and_can_be_tried(
    workspace: Workspace, visitor: Visitor, tmp_path: Path, task: str
) -> None:
    table = tmp_path / "rows.csv"
    table.write_text(ROWS[task])
    data, path = workspace.datasets.create(visitor, "Rows")
    prepare([table], "char", path)
    plan = plans.plan(workspace, visitor, data, "tiny", *settings())
    assert plan.passes == pytest.approx(10 * 2 / 108, rel=0.1)  # ten batches of two rows
    run, directory = workspace.runs.create(visitor, "A run")
    train(plan.config, path, directory, report=lambda line: None)
    shown = runs.follow(workspace, visitor, {"shown": run, "runs": {run: 0}})
    _, score, _ = SCORES[task]
    words = shown["shown"]["words"]
    assert words["score_name"] == score and words["score"] != "–"
    assert shown["shown"]["guess"] is None, "a loss per token is no line to beat for whole texts"
    assert all(one["text"].startswith(" → ") for one in shown["shown"]["samples"])
    assert shown["runs"][run]["judged_by"] == score and shown["runs"][run]["rows"]["score"][-1] is not None
    assert ("who always" in words["meaning"]) == (task != "sequence_to_sequence")
    found = sample.predicted(workspace, visitor, run, "best", "Where is it?")
    workspace.close()
    assert plan.parameters == sum(parameters_by_part(Run(directory).config().model).values())
    assert found is not None
    html = prediction_html(found)
    if task == "classification":
        assert set(found["probabilities"]) == {"good", "bad"} and html.count("<tr>") == 2
    elif task == "regression":
        assert f"{found['value']:.4g}" in html
    else:
        assert len(found["candidates"]) == sample.BEAMS == html.count("<tr>")


def test_an_epoch_of_rows_is_as_long_as_they_are(workspace: Workspace, visitor: Visitor, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text(ROWS["classification"])
    data, path = workspace.datasets.create(visitor, "Rows")
    prepare([table], "char", path)
    model, training = settings(max_steps=None, max_epochs=2)
    run = starting.start(workspace, visitor, data, "tiny", "A run", model, training)
    now = look(workspace, workspace.runs.item(run, visitor))
    assert now.steps == plans.plan(workspace, visitor, data, "tiny", model, training).steps == 108  # all rows, twice


def test_what_people_and_models_wrote_is_escaped() -> None:
    found = {"prompt": "", "label": "<b>", "probabilities": {"<b>": 0.9, "c": 0.1}}
    assert "<b>" not in prediction_html(found)
    answered = {
        "prompt": "",
        "completion": "<i x>",
        "stop": "length",
        "candidates": [{"text": "<i x>", "probability": 1}],
    }
    assert "<i x>" not in prediction_html(answered)


def test_a_task_that_was_chosen_brings_a_model_that_can_learn_it(workspace: Workspace, visitor: Visitor) -> None:
    model, training = settings(task="masked_language_modelling")
    plan = plans.plan(workspace, visitor, plans.TALES, "tiny", model, training)
    assert (plan.config.task, plan.config.model.kind) == ("masked_language_modelling", "encoder")
    assert "--task masked_language_modelling" in plan.command
    with pytest.raises(UserError, match="task"):
        plans.plan(workspace, visitor, plans.TALES, "tiny", model, training | {"task": "dancing"})


def test_unknown_tales_are_refused(workspace: Workspace, visitor: Visitor) -> None:
    with pytest.raises(UserError, match="tales:mood"):
        preparing.begin(workspace, visitor, TextChoice(tales="tales:../x"))
