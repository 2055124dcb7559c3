"""A browser's memory of a model: kept, put away, saved, shared and loaded, and nobody else's."""

import os
from pathlib import Path

import pytest

from microformer.errors import UserError
from microformer.ui.actions import answers, lesson_progress, lists, memories, models, shared, streams, teach
from microformer.ui.actions.answers import Manner
from microformer.ui.actions.memory_shelf import BESIDE, OWN
from microformer.ui.workspace import Visitor, Workspace
from tests.ui.small_lessons import PATIENCE, over, rows, written


@pytest.fixture
def taught(workspace: Workspace, ada: Visitor, model: str) -> str:
    """The model, of which Ada was taught a fact."""
    over(teach.teach_fact(workspace, ada, model, "Who?", "Zoe"))
    return model


def test_what_was_taught_is_there_after_a_restart_and_for_nobody_else(
    workspace: Workspace, ada: Visitor, bob: Visitor, taught: str
) -> None:
    assert rows(workspace, bob, taught) == []
    restarted = Workspace(workspace.home, hosted=True)
    try:
        assert rows(restarted, ada, taught) == [["Who?", "Zoe", True]]
        assert rows(restarted, bob, taught) == []
    finally:
        restarted.close()


def test_a_reset_gives_the_base_back_and_can_be_undone(workspace: Workspace, ada: Visitor, taught: str) -> None:
    teach.reset(workspace, ada, taught)
    assert lesson_progress.progress(workspace, ada, {})["state"] == "none", "it does not say it exactly any more"
    assert streams.latest(workspace, ada, answers.place_of(taught)) is None, "nor what stood beside it"
    answers.ask(workspace, ada, taught, "Who?", Manner(gate="on"))
    base, now = written(workspace, ada, taught)
    assert base == now and rows(workspace, ada, taught) == []
    with pytest.raises(UserError, match="nothing to reset"):
        teach.reset(workspace, ada, taught)
    assert teach.undo(workspace, ada, taught) == 1
    assert rows(workspace, ada, taught) == [["Who?", "Zoe", True]]


def test_a_memory_is_saved_to_a_file_and_loaded_beside_or_instead(
    workspace: Workspace, ada: Visitor, bob: Visitor, taught: str
) -> None:
    file = teach.export(workspace, ada, taught, "Ada's <b>")
    assert file.name == "Ada-s-b.safetensors"
    over(teach.teach_fact(workspace, bob, taught, "Where?", "Here"))
    assert teach.load(workspace, bob, taught, str(file), BESIDE) == "Ada's <b>"
    shown = lists.taught(workspace, bob, {"model": taught})
    assert [row[0] for row in shown["rows"]] == ["Where?"] and shown["beside"][0][1:] == ["Ada's <b>", "1 fact"]
    for prompt, answer in (("Who?", " Zoe"), ("Where?", " Here")):
        answers.ask(workspace, bob, taught, prompt, Manner())
        assert written(workspace, bob, taught)[1] == answer
    lists.put_aside(workspace, bob, {"model": taught, "id": shown["beside"][0][0]})
    teach.load(workspace, bob, taught, str(file), OWN)
    assert rows(workspace, bob, taught) == [["Who?", "Zoe", True]]
    assert teach.undo(workspace, bob, taught) == 1
    assert rows(workspace, bob, taught) == [["Where?", "Here", True]]


def test_a_file_that_is_no_memory_changes_nothing(
    workspace: Workspace, ada: Visitor, taught: str, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"no tensors at all")
    for role in (OWN, BESIDE):
        with pytest.raises(UserError):
            teach.load(workspace, ada, taught, str(wrong), role)
    assert rows(workspace, ada, taught) == [["Who?", "Zoe", True]]


def test_a_browser_that_was_forgotten_in_mid_lesson_leaves_nothing_behind(
    workspace: Workspace, ada: Visitor, bob: Visitor, model: str
) -> None:
    lesson = teach.teach_fact(workspace, bob, model, "Who?", "Zoe")
    workspace.forget(bob)
    assert lesson.job is not None and lesson.job.wait(PATIENCE)
    assert rows(workspace, bob, model) == [] and workspace.sessions.list(bob) == []
    assert not list(workspace.sessions.root.glob("[!.]*"))


def test_a_shared_memory_can_be_loaded_by_others_and_changed_by_nobody_else(
    workspace: Workspace, ada: Visitor, bob: Visitor, taught: str
) -> None:
    loaded = models.speaker_of(workspace, ada, taught).loaded
    id = memories.memories_of(workspace, ada, loaded).own.id
    assert shared.offered(workspace, bob, loaded) == []
    with pytest.raises(UserError, match="is not there"):
        shared.load(workspace, bob, taught, id, BESIDE)
    shared.share(workspace, ada, taught, True, "Ada's facts")
    assert shared.is_shared(workspace, ada, loaded)
    assert shared.offered(workspace, bob, loaded) == [("Ada's facts", id)]
    assert rows(workspace, bob, taught) == [], "it is not Bob's by being seen"
    assert shared.load(workspace, bob, taught, id, BESIDE) == "Ada's facts"
    answers.ask(workspace, bob, taught, "Who?", Manner())
    assert written(workspace, bob, taught)[1] == " Zoe"
    with pytest.raises(UserError, match="belongs to somebody else"):
        workspace.sessions.delete(id, bob)
    shared.share(workspace, ada, taught, False, "")
    assert shared.offered(workspace, bob, loaded) == []


def test_a_memory_that_expired_while_the_page_was_open_is_kept_anew(
    workspace: Workspace, ada: Visitor, taught: str
) -> None:
    workspace.sessions.forget(ada)
    over(teach.teach_fact(workspace, ada, taught, "Where?", "Here"))
    restarted = Workspace(workspace.home, hosted=True)
    try:
        assert len(rows(restarted, ada, taught)) == 2
    finally:
        restarted.close()


def test_a_memory_that_is_used_does_not_expire(workspace: Workspace, ada: Visitor, taught: str) -> None:
    loaded = models.speaker_of(workspace, ada, taught).loaded
    place = workspace.sessions.list(ada)[0].path
    os.utime(place, (0, 0))
    workspace.registry.forget(ada)
    assert not memories.memories_of(workspace, ada, loaded).empty
    assert place.stat().st_mtime > 1_000_000_000
