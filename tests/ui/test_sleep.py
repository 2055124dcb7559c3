"""Moving facts into a run on the page: only one's own, only what passes its check, and back again."""

from dataclasses import replace

import pytest
import torch

from microformer import checkpoint
from microformer.checkpoint import base_hash
from microformer.errors import UserError
from microformer.teaching.consolidate import Check, Consolidated, long_term_memory, with_long_term
from microformer.teaching.history import keep_consolidated
from microformer.training.run_directory import Run
from microformer.ui.actions import lesson_progress, lists, memories, models, sleep, teach
from microformer.ui.tabs.teach_sleep import figures_html
from microformer.ui.workspace import STARTER_ID, Visitor, Workspace
from tests.teaching.small_models import save_run
from tests.ui.small_lessons import PATIENCE, over

PASSED = Check(recited=1, facts=1, locality=1.0, loss_before=2.0, loss_after=2.01)


@pytest.fixture
def model(workspace: Workspace, ada: Visitor) -> str:
    """A run of Ada's that she taught one fact."""
    id, path = workspace.runs.create(ada, "tiny")
    save_run(path)
    over(teach.teach_fact(workspace, ada, id, "Who?", "Zoe"))
    return id


def moved(workspace: Workspace, visitor: Visitor, model: str) -> None:
    """Move what was taught, with another model's long-term adapters in place of learnt ones."""
    loaded = models.speaker_of(workspace, visitor, model).loaded
    memory = replace(long_term_memory(loaded.model, 1), up=torch.ones(1, 4, 32))
    changed = replace(loaded, model=with_long_term(loaded.model, memory))
    keep_consolidated(Consolidated(changed, PASSED), memories.memories_of(workspace, visitor, loaded).own.session)


def taught(workspace: Workspace, visitor: Visitor, model: str) -> list[str]:
    return [row[0] for row in lists.taught(workspace, visitor, {"model": model})["rows"]]


def hash_of(workspace: Workspace, visitor: Visitor, model: str) -> str:
    return base_hash(models.speaker_of(workspace, visitor, model).loaded.model)


def test_what_fails_its_check_is_not_kept_and_it_is_told_why(workspace: Workspace, ada: Visitor, model: str) -> None:
    before = hash_of(workspace, ada, model)
    lesson = sleep.begin(workspace, ada, model)
    with pytest.raises(UserError, match="still learning"):
        teach.teach_fact(workspace, ada, model, "Where?", "Here")
    assert sleep.progress(workspace, ada, {})["state"] == "working"
    assert lesson_progress.progress(workspace, ada, {})["state"] == "none", "it is shown in its own place"
    assert lesson.job is not None and lesson.job.wait(PATIENCE)
    told = sleep.progress(workspace, ada, {})
    assert told["state"] == "failed" and "is not kept" in told["says"]
    figures = sleep.figures(workspace, ada, model)
    assert figures is not None and "It was not kept" in figures_html(figures)
    assert hash_of(workspace, ada, model) == before and taught(workspace, ada, model) == ["Who?"]


def test_the_history_tells_of_a_move_and_an_undo_brings_model_and_memory_back(
    workspace: Workspace, ada: Visitor, model: str
) -> None:
    before = hash_of(workspace, ada, model)
    moved(workspace, ada, model)
    assert hash_of(workspace, ada, model) != before and taught(workspace, ada, model) == []
    now = sleep.standing(workspace, ada, model)
    assert now.moved is not None and "checkpoint now" in figures_html(now.moved)
    assert "1 fact moved in" in {id: name for name, id in models.checkpoints(workspace, ada, model)}["step-21"]
    over(teach.teach_fact(workspace, ada, model, "Where?", "Here"))
    with pytest.raises(UserError, match="since the move"):
        sleep.undo(workspace, ada, model)
    teach.reset(workspace, ada, model)
    assert sleep.undo(workspace, ada, model) == 1
    assert hash_of(workspace, ada, model) == before and taught(workspace, ada, model) == ["Who?"]
    with pytest.raises(UserError, match="nothing to undo"):
        sleep.undo(workspace, ada, model)


def test_an_undo_finds_the_memory_again_that_was_reset_in_the_meantime(
    workspace: Workspace, ada: Visitor, model: str
) -> None:
    loaded = models.speaker_of(workspace, ada, model).loaded
    moved(workspace, ada, model)
    memories.reset(workspace, ada, loaded)
    assert sleep.undo(workspace, ada, model) == 1
    assert taught(workspace, ada, model) == ["Who?"]


def test_nobody_moves_anything_into_what_is_not_theirs(
    workspace: Workspace, ada: Visitor, bob: Visitor, model: str
) -> None:
    workspace.runs.share(model, True, ada)
    over(teach.teach_fact(workspace, bob, model, "Where?", "Here"))
    for act in (sleep.begin, sleep.undo):
        with pytest.raises(UserError, match="belongs to somebody else"):
            act(workspace, bob, model)
        with pytest.raises(UserError, match="everybody's"):
            act(workspace, bob, STARTER_ID)
    assert sleep.standing(workspace, bob, model).hindrance == sleep.NOT_YOURS
    assert "what others taught" in sleep.standing(workspace, ada, model).stays


def test_nothing_is_moved_while_a_run_is_trained_nor_without_a_text_to_check_it_on(
    workspace: Workspace, ada: Visitor, model: str
) -> None:
    path = workspace.runs.get(model, ada)
    (path / "val.npy").unlink()
    with pytest.raises(UserError, match="is not here any more"):
        sleep.begin(workspace, ada, model)
    assert sleep.standing(workspace, ada, model).hindrance == sleep.NO_TEXT
    Run(path).write_status("queued", 0)
    with pytest.raises(UserError, match="still being trained"):
        sleep.begin(workspace, ada, model)


def test_a_run_that_is_deleted_in_its_sleep_stays_deleted(workspace: Workspace, ada: Visitor, model: str) -> None:
    lesson = sleep.begin(workspace, ada, model)
    path = workspace.runs.get(model, ada)
    workspace.forget(ada)
    assert lesson.job is not None and lesson.job.wait(PATIENCE)
    assert lesson.state == "failed" and not path.exists()


def test_a_copy_of_the_starter_is_ones_own_and_knows_what_the_starter_was_taught(
    workspace: Workspace, ada: Visitor, bob: Visitor
) -> None:
    copy = sleep.copy_starter(workspace, ada)
    assert workspace.runs.item(copy, ada).name == sleep.COPY_NAME and workspace.runs.list(bob) == []
    assert hash_of(workspace, ada, copy) == base_hash(checkpoint.load("starter").model)
    assert sleep.standing(workspace, ada, copy).hindrance == ""
    assert sleep.standing(workspace, ada, STARTER_ID).starter
