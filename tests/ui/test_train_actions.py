"""What the Train tab does, without a browser: plan, start, pause, resume, delete and bring back.

No trainer is started here: runs wait in the queue, and their files are written as a trainer writes them.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from microformer.errors import UserError
from microformer.model.profile import parameters_by_part
from microformer.presets import load_preset
from microformer.tasks.kinds import KINDS, task_for
from microformer.training.run_directory import Run
from microformer.ui.actions import offers, plans, runs, train
from microformer.ui.actions.looks import overview
from microformer.ui.actions.words import state_in_words
from microformer.ui.plan_card import memory, plan_html, problem_html
from microformer.ui.workspace import Limits, Visitor, Workspace, new_secret
from tests.ui.small_runs import dataset, settings, started

HOSTED = False


def test_a_plan_tells_the_cost_and_the_command_of_a_run(workspace: Workspace, visitor: Visitor) -> None:
    data = dataset(workspace, visitor)
    plan = plans.plan(workspace, visitor, data, "tiny", *settings())
    assert plan.parameters == sum(plan.parts.values()) > 0
    assert (plan.steps, plan.tokens) == (10, 10 * 2 * 32)
    assert plan.passes == pytest.approx(640 / plan.text_tokens)
    assert "--config presets/tiny.yaml" in plan.command
    assert "--model.d_model 16" in plan.command
    assert "--training.max_steps 10" in plan.command
    assert "learning_rate" not in plan.command, "what the preset says already is not repeated"


def test_a_plan_is_shown_with_its_parts_and_warnings(workspace: Workspace, visitor: Visitor) -> None:
    plan = plans.plan(workspace, visitor, dataset(workspace, visitor), "tiny", *settings(max_steps=50_000))
    shown = plan_html(plan)
    assert "feed-forward" in shown
    assert "by heart" in shown
    assert memory(2.5e9) == "2.5 GB"
    assert "&lt;b&gt;" in problem_html("<b>")


def test_measuring_says_how_long_it_takes_here(workspace: Workspace, visitor: Visitor) -> None:
    plan = plans.plan(workspace, visitor, dataset(workspace, visitor), "tiny", *settings(), measure=True)
    assert plan.seconds is not None
    assert plan.seconds > 0


def test_a_run_by_minutes_tells_how_often_it_reads_the_text(workspace: Workspace, visitor: Visitor) -> None:
    chosen = workspace, visitor, dataset(workspace, visitor), "tiny", *settings(max_steps=None, max_minutes=60)
    assert plans.plan(*chosen).passes is None, "not before a step was tried"
    plan = plans.plan(*chosen, measure=True)
    assert plan.steps is not None and plan.passes == pytest.approx(plan.steps * 64 / plan.text_tokens)
    assert plan.seconds == 3600
    assert f"read about {plan.passes:.0f} times; the model will know it by heart" in plan_html(plan)


def test_a_model_too_large_to_be_tried_out_is_not_tried_out(workspace: Workspace) -> None:
    config = load_preset("tiny")
    huge = plans.configuration(settings(d_model=8192)[0], asdict(config.training), 1000)
    assert plans.seconds_per_step(workspace, huge) is None


def test_every_preset_is_labelled_with_its_time_on_this_machine(workspace: Workspace, visitor: Visitor) -> None:
    labels = offers.preset_labels(workspace, visitor, more=True)
    assert [name for _, name in labels] == [one.name for one in offers.fitting("text")]
    assert all(" here\n" in label for label, _ in labels)
    assert "starter" not in [name for _, name in labels]


@pytest.mark.parametrize("kind", ["text", "labelled", "valued", "paired"])
def test_few_presets_are_shown_at_first_and_none_for_another_kind_of_data(kind: str) -> None:
    few, all = offers.shortlist(kind), offers.fitting(kind)
    assert len(few) <= 4
    assert {one.name for one in few} < {one.name for one in all}
    assert offers.DEFAULT_PRESET in [one.name for one in few]
    assert {one.config.task for one in all} <= {"auto", task_for(kind)}
    if kind != "text":
        assert few[0].config.task == task_for(kind), "what was made for the data comes first"
    assert "large" in [one.name for one in offers.shortlist(kind, "large")], "what is chosen stays in sight"


def test_every_offered_preset_is_for_some_kind_of_data() -> None:
    kinds = [rows for _, rows in KINDS.values()]
    assert {one.name for kind in kinds for one in offers.fitting(kind)} == {one.name for one in plans.offered()}


def test_a_preset_for_other_data_gives_way(workspace: Workspace, visitor: Visitor) -> None:
    data = dataset(workspace, visitor)
    assert offers.preset_for(workspace, visitor, data, "mood") == offers.DEFAULT_PRESET
    assert offers.preset_for(workspace, visitor, data, "large") == "large"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"d_model": 30}, "multiple of n_heads"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"max_steps": None}, "no end"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(
    workspace: Workspace, visitor: Visitor, changes: dict[str, Any], sentence: str
) -> None:
    data = dataset(workspace, visitor)
    with pytest.raises(UserError, match=sentence):
        train.start(workspace, visitor, data, "tiny", "", *settings(**changes))
    assert workspace.runs.list(visitor) == []


def test_a_context_longer_than_the_text_is_refused(workspace: Workspace, visitor: Visitor) -> None:
    data = dataset(workspace, visitor)
    with pytest.raises(UserError, match="max_seq_len"):
        train.start(workspace, visitor, data, "tiny", "", *settings(max_seq_len=8192))


def test_a_started_run_waits_in_the_queue_with_its_place(workspace: Workspace, visitor: Visitor) -> None:
    data = dataset(workspace, visitor)
    first, second = started(workspace, visitor, data), started(workspace, visitor, data, "Mine")
    looks = {one.item.id: one for one in overview(workspace, visitor)}
    assert {one.item.name for one in looks.values()} == {"A text · tiny", "Mine"}
    assert {looks[first].place, looks[second].place} == {1, 2}
    assert "in the queue" in state_in_words(looks[second])
    config = Run(workspace.runs.get(first, visitor)).config()
    assert (config.model.d_model, config.training.max_steps) == (16, 10)


def test_pausing_a_waiting_run_takes_it_out_of_the_queue_and_resuming_puts_it_back(
    workspace: Workspace, visitor: Visitor
) -> None:
    id = started(workspace, visitor, dataset(workspace, visitor))
    run = Run(workspace.runs.get(id, visitor))
    train.stop(workspace, visitor, id)
    assert run.status().state == "stopped"
    train.resume(workspace, visitor, id)
    assert run.status().state == "queued"


def test_a_run_whose_dataset_is_gone_cannot_be_resumed(workspace: Workspace, visitor: Visitor) -> None:
    data = dataset(workspace, visitor)
    id = started(workspace, visitor, data)
    train.stop(workspace, visitor, id)
    workspace.datasets.delete(data, visitor)
    with pytest.raises(UserError, match="dataset"):
        train.resume(workspace, visitor, id)


def test_a_run_under_way_is_not_deleted_and_a_deleted_one_comes_back(workspace: Workspace, visitor: Visitor) -> None:
    id = started(workspace, visitor, dataset(workspace, visitor), "Mine")
    with pytest.raises(UserError, match="pause it first"):
        train.delete(workspace, visitor, id)
    train.stop(workspace, visitor, id)
    assert train.rename(workspace, visitor, id, "Ours") == "Ours"
    name, token = train.delete(workspace, visitor, id)
    assert (name, workspace.runs.list(visitor)) == ("Ours", [])
    assert train.undo(workspace, visitor, token) == id


def test_a_hosted_visitor_has_a_queue_limit_and_sees_only_their_own_runs(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, hosted=True, limits=Limits(queued=1))
    one, other = workspace.visitor(new_secret()), workspace.visitor(new_secret())
    data = dataset(workspace, one)
    id = started(workspace, one, data)
    with pytest.raises(UserError, match="the most here"):
        started(workspace, one, data)
    with pytest.raises(UserError, match="not there"):
        started(workspace, other, data)
    answer = runs.follow(workspace, other, {"shown": id, "runs": {id: 0}})
    assert (answer["runs"], answer["shown"]) == ({}, None)
    for action in (train.stop, train.resume, train.delete):
        with pytest.raises(UserError, match="not there"):
            action(workspace, other, id)


def test_a_hosted_visitor_cannot_train_longer_than_allowed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, hosted=True, limits=Limits(train_minutes=1))
    visitor = workspace.visitor(new_secret())
    data = dataset(workspace, visitor)
    for changes, sentence in (({"max_minutes": 5}, "about 5 min, but 1 minutes"), ({"d_model": 4096}, "too large")):
        with pytest.raises(UserError, match=sentence):
            train.start(workspace, visitor, data, "tiny", "", *settings(**changes))
    assert workspace.runs.list(visitor) == []


def test_a_hosted_visitor_cannot_train_a_larger_model_than_allowed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, hosted=True, limits=Limits(parameters=300_000))
    visitor = workspace.visitor(new_secret())
    data = dataset(workspace, visitor)
    started(workspace, visitor, data)
    with pytest.raises(UserError, match="million parameters, but 0 million are the most here"):
        train.start(workspace, visitor, data, "tiny", "", *settings(d_model=256))


def test_a_hosted_run_that_has_had_its_time_is_not_resumed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, hosted=True, limits=Limits(train_minutes=1))
    visitor = workspace.visitor(new_secret())
    id = started(workspace, visitor, dataset(workspace, visitor), "Mine")
    train.stop(workspace, visitor, id)
    Run(workspace.runs.get(id, visitor)).append_metrics({"step": 1, "seconds": 61.0})
    with pytest.raises(UserError, match="Mine has trained for 1 minutes, which is the most here"):
        train.resume(workspace, visitor, id)


def test_a_command_on_a_hosted_page_tells_no_path_of_the_server(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, hosted=True)
    visitor = workspace.visitor(new_secret())
    plan = plans.plan(workspace, visitor, plans.TALES, "tiny", *settings())
    assert str(tmp_path) not in plan.command
    assert plan.command.startswith("python -m microformer prepare --source tales")


def test_a_proposal_suits_the_dataset(workspace: Workspace, visitor: Visitor) -> None:
    found = offers.proposed(workspace, visitor, plans.TALES, 3)
    assert found.preset in [one.name for one in offers.fitting("text")] and found.training["max_minutes"] == 3
    assert "3 minutes" in found.sentence
    for minutes in (None, "3", True):
        with pytest.raises(UserError, match="how many minutes"):
            offers.proposed(workspace, visitor, plans.TALES, minutes)
    with pytest.raises(UserError, match="-3 minutes cannot be trained for"):
        offers.proposed(workspace, visitor, plans.TALES, -3)


def test_a_proposal_keeps_to_what_a_visitor_may(tmp_path: Path) -> None:
    limits = Limits(train_minutes=60, parameters=1_300_000)
    free, limited = Workspace(tmp_path / "own"), Workspace(tmp_path / "hosted", hosted=True, limits=limits)
    chosen = [offers.proposed(one, one.visitor(new_secret()), plans.TALES, 60).preset for one in (free, limited)]
    sizes = [sum(parameters_by_part(plans.preset_named(name).config.model).values()) for name in chosen]
    assert sizes[1] < limits.parameters < sizes[0]
    with pytest.raises(UserError, match="60 minutes at most"):
        offers.proposed(limited, limited.visitor(new_secret()), plans.TALES, 61)
