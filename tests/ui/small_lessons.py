"""A lesson that is waited for, and what it left on the page."""

from typing import Any

from microformer.ui.actions import answers, lesson_progress, lists, streams
from microformer.ui.actions.lessons import Lesson
from microformer.ui.workspace import Visitor, Workspace

PATIENCE = 300.0


def over(lesson: Lesson) -> Lesson:
    assert lesson.job is not None and lesson.job.wait(PATIENCE)
    assert lesson.state == "done", lesson_progress.outcome(lesson)
    return lesson


def rows(workspace: Workspace, visitor: Visitor, model: str, **request: Any) -> list[list[Any]]:
    found: list[list[Any]] = lists.taught(workspace, visitor, {"model": model, **request})["rows"]
    return found


def written(workspace: Workspace, visitor: Visitor, model: str) -> list[str]:
    """The texts that are on show, once they are whole."""
    group = streams.latest(workspace, visitor, answers.place_of(model))
    assert group is not None
    return [stream.result(PATIENCE) for stream in group.streams]
