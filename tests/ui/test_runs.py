"""What the Train tab shows of runs, without a browser: curves as they grow, numbers in words, a table of all."""

from typing import Any

import gradio as gr
import pytest

from microformer.ui.actions import runs, train
from microformer.ui.actions.looks import overview
from microformer.ui.actions.words import duration
from microformer.ui.tabs.runs import chosen_run, refreshed, table_html
from microformer.ui.workspace import Visitor, Workspace
from tests.ui.small_runs import dataset, started, trained

HOSTED = False


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
