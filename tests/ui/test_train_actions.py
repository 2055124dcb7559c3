"""What the Train tab does, without a browser: plan, start, pause, resume, follow, compare, delete and bring back.

No trainer is started here: runs wait in the queue, and their files are written as a trainer writes them.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from microformer.data.prepare import prepare
from microformer.errors import UserError
from microformer.presets import load_preset
from microformer.training.run_directory import Run
from microformer.ui.actions import plans, runs, train
from microformer.ui.actions.looks import overview
from microformer.ui.actions.words import duration, state_in_words
from microformer.ui.plan_card import memory, plan_html, problem_html
from microformer.ui.tabs.runs import chosen_run, refreshed, table_html
from microformer.ui.workspace import Limits, Visitor, Workspace, new_secret

TEXT = "The red ball is in the garden. Ann looks for it, and finds it under the old tree.\n" * 60
TINY = {"d_model": 16, "n_layers": 2, "n_heads": 4, "max_seq_len": 32, "adapter_dim": 4}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


@pytest.fixture
def visitor(workspace: Workspace) -> Visitor:
    return workspace.visitor(new_secret())


def dataset(workspace: Workspace, visitor: Visitor) -> str:
    source = workspace.home / "text.txt"
    source.write_text(TEXT)
    id, path = workspace.datasets.create(visitor, "A text")
    prepare(source, "char", path)
    return id


def settings(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The forms' values for a tiny model and ten steps, with some changed."""
    preset = load_preset("tiny")
    model = asdict(preset.model) | TINY
    training = asdict(preset.training) | {"max_steps": 10, "batch_size": 2, "precision": "fp32"}
    del model["vocab_size"]
    for name, value in changes.items():
        (model if name in model else training)[name] = value
    return model, training


def started(workspace: Workspace, visitor: Visitor, data: str, name: str = "") -> str:
    return train.start(workspace, visitor, data, "tiny", name, *settings())


def trained(workspace: Workspace, visitor: Visitor, id: str, steps: int) -> Run:
    """Write what a trainer would have written by step ``steps``, an evaluation at every fifth."""
    run = Run(workspace.runs.get(id, visitor))
    for step in range(1, steps + 1):
        row = {"step": step, "tokens": 64 * step, "seconds": 0.5 * step, "loss": 4.0 - 0.1 * step, "lr": 0.001}
        row |= {"grad_norm": 1.0, "tokens_per_second": 128.0}
        if step % 5 == 0:
            row |= {"val_loss": 4.1 - 0.1 * step, "bits_per_byte": 4.0}
            run.append_sample({"step": step, "prompt": "The", "text": f" ball {step}"})
        run.append_metrics(row)
    run.write_status("stopped", steps, "Stopped.")
    return run


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


def test_a_model_too_large_to_be_tried_out_is_not_tried_out(workspace: Workspace) -> None:
    config = load_preset("tiny")
    huge = plans.configuration(settings(d_model=8192)[0], asdict(config.training), 1000)
    assert plans.seconds_for(workspace, huge, 10) is None


def test_every_preset_is_labelled_with_its_time_on_this_machine(workspace: Workspace, visitor: Visitor) -> None:
    labels = plans.preset_labels(workspace, visitor)
    assert [name for _, name in labels] == [one.name for one in plans.offered()]
    assert all(" here\n" in label for label, _ in labels)
    assert "starter" not in [name for _, name in labels]


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


def test_the_browser_gets_only_what_it_lacks(workspace: Workspace, visitor: Visitor) -> None:
    id = started(workspace, visitor, dataset(workspace, visitor), "Mine")
    trained(workspace, visitor, id, 10)
    first = runs.follow(workspace, visitor, {"shown": id, "runs": {id: 0}, "samples": 0})
    got = first["runs"][id]
    assert got["again"] is True
    assert got["rows"]["step"] == list(range(1, 11))
    assert got["rows"]["val_loss"][4] == pytest.approx(3.6)
    assert [sample["when"] for sample in first["shown"]["samples"]] == ["step 5", "step 10"]
    assert first["shown"]["words"]["step"] == "10 of 10"
    assert "choose among 16.0" in first["shown"]["words"]["meaning"]
    assert "Mine is at step 10" in first["say"]
    again = {"shown": id, "runs": {id: got["next"]}, "samples": first["shown"]["samples_next"]}
    second = runs.follow(workspace, visitor, again)
    assert second["runs"][id]["rows"]["step"] == []
    assert second["shown"]["samples"] == []
    assert second["signature"] == first["signature"]


def test_a_name_is_short_and_no_markup_in_the_legend(workspace: Workspace, visitor: Visitor) -> None:
    id = started(workspace, visitor, dataset(workspace, visitor), "<a href='//x'>a</a> " + 10 * "long ")
    name = runs.follow(workspace, visitor, {"runs": {id: 0}})["runs"][id]["name"]
    assert "<" not in name
    assert name.startswith("&lt;a href")
    assert name.endswith("…")


def test_a_file_that_was_cut_back_is_read_again_from_the_start(workspace: Workspace, visitor: Visitor) -> None:
    id = started(workspace, visitor, dataset(workspace, visitor))
    run = trained(workspace, visitor, id, 10)
    cursor = runs.follow(workspace, visitor, {"runs": {id: 0}})["runs"][id]["next"]
    run.forget_rows_after(5)
    got = runs.follow(workspace, visitor, {"runs": {id: cursor}})["runs"][id]
    assert got["again"] is True
    assert got["rows"]["step"] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("request_", [{}, {"shown": 3, "runs": [1]}, {"runs": {"../..": -1}, "samples": "x"}])
def test_whatever_a_browser_asks_is_answered(workspace: Workspace, visitor: Visitor, request_: dict[str, Any]) -> None:
    answer = runs.follow(workspace, visitor, request_)
    assert (answer["runs"], answer["shown"]) == ({}, None)


def test_the_signature_changes_with_every_change_of_a_run(workspace: Workspace, visitor: Visitor) -> None:
    def now() -> str:
        return str(runs.follow(workspace, visitor, {})["signature"])

    seen = [now()]
    id = started(workspace, visitor, dataset(workspace, visitor), "Mine")
    seen.append(now())
    train.stop(workspace, visitor, id)
    seen.append(now())
    train.rename(workspace, visitor, id, "Ours")
    seen.append(now())
    assert len(set(seen)) == 4


def test_lists_and_buttons_are_made_for_the_state_that_the_browser_hears_of(
    workspace: Workspace, visitor: Visitor
) -> None:
    id = started(workspace, visitor, dataset(workspace, visitor), "<b>Mine</b>")
    updates = chosen_run(workspace, visitor, None, None)
    assert updates[2] == {"shown": id, "runs": [id]}
    table = updates[-1]
    assert f'data-made="{id} {runs.follow(workspace, visitor, {})["signature"]}"' in table
    assert "<b>Mine</b>" not in table
    assert "&lt;b&gt;Mine&lt;/b&gt;" in table
    # A refresh by itself never changes which run is shown, unless that one is gone.
    assert refreshed(workspace, visitor, id, [id])[2] == gr.skip()
    assert refreshed(workspace, visitor, "gone", [])[2] == {"shown": id, "runs": [id]}


def test_the_table_compares_all_runs(workspace: Workspace, visitor: Visitor) -> None:
    data = dataset(workspace, visitor)
    first, _ = started(workspace, visitor, data, "One"), started(workspace, visitor, data, "Two")
    trained(workspace, visitor, first, 10)
    frame = runs.table(overview(workspace, visitor)).set_index("run")
    assert frame.loc["One", "validation loss"] == "3.100"
    assert frame.loc["Two", "validation loss"] == "–"
    assert frame.loc["One", "state"] == "paused"
    assert "No run yet" in table_html([], None)


def test_long_runs_are_thinned_but_keep_their_evaluations() -> None:
    rows = [{"step": step, "val_loss": 1.0 if step % 1000 == 7 else None} for step in range(10_000)]
    kept = runs.thinned(rows, most=100)
    assert len(kept) < 130
    assert kept[-1]["step"] == 9_999
    assert sum(row["val_loss"] is not None for row in kept) == 10


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
    for changes, sentence in (({"max_minutes": 5}, "about 5 min 0 s, but 1 minutes"), ({"d_model": 4096}, "too large")):
        with pytest.raises(UserError, match=sentence):
            train.start(workspace, visitor, data, "tiny", "", *settings(**changes))
    assert workspace.runs.list(visitor) == []


def test_a_hosted_visitor_cannot_train_a_larger_model_than_allowed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, hosted=True, limits=Limits(parameters=30_000))
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


def test_durations_read_as_people_say_them() -> None:
    told = [duration(seconds) for seconds in (0, 59, 200, 1000, 4000, 200_000, 1e7, 1e9, None)]
    assert told == [
        "0 s",
        "59 s",
        "3 min 20 s",
        "17 min",
        "1 h 6 min",
        "2 days",
        "4 months",
        "32 years",
        "–",
    ]
