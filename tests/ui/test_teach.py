"""What the Teach tab does: facts, lists, passages and conversations end up in the memory of the browser that taught."""

from pathlib import Path
from typing import Any

import pytest

from microformer.errors import UserError
from microformer.teaching.settings import TeachSettings
from microformer.ui.actions import answers, chat, lesson_progress, lessons, lists, proofs, streams, teach
from microformer.ui.actions.answers import Manner
from microformer.ui.tabs.teach_memory import proof_of_lesson
from microformer.ui.workspace import Visitor, Workspace
from tests.ui.small_lessons import PATIENCE, over, rows, written


def test_a_fact_is_learnt_said_before_and_after_and_ticked(workspace: Workspace, ada: Visitor, model: str) -> None:
    lesson = over(teach.teach_fact(workspace, ada, model, "Who?", "Zoe"))
    assert rows(workspace, ada, model) == [["Who?", "Zoe", True]]
    answers.results(workspace, ada, Manner())
    before, after = written(workspace, ada, model)
    assert after == " Zoe" != before
    assert "says it exactly" in lesson_progress.outcome(lesson) and lesson.unchanged
    assert answers.results(workspace, ada, Manner()) is None, "shown once"


def test_a_list_is_taught_and_one_of_it_forgotten(
    workspace: Workspace, ada: Visitor, model: str, tmp_path: Path
) -> None:
    table = tmp_path / "facts.csv"
    table.write_text("prompt,answer\nWho?,Zoe\nWhere?,Here\nWhen?,Now\n")
    over(teach.teach_list(workspace, ada, model, str(table)))
    assert [row[0] for row in rows(workspace, ada, model)] == ["When?", "Where?", "Who?"]
    assert rows(workspace, ada, model, query="here") == [["Where?", "Here", True]]
    shown = proof_of_lesson(workspace, ada, model)
    assert "first 3 that are new" in shown and shown.count(">yes<") == 3
    lists.remove(workspace, ada, {"model": model, "prompt": "Where?"})
    lesson = lessons.current(workspace, ada)
    assert lesson is not None
    over(lesson)
    assert rows(workspace, ada, model) == [["When?", "Now", True], ["Who?", "Zoe", True]]


def test_what_was_said_before_and_after_a_list_is_told_of_its_new_facts_only(
    workspace: Workspace, ada: Visitor, model: str, tmp_path: Path
) -> None:
    over(teach.teach_fact(workspace, ada, model, "Who?", "Zoe"))
    over(teach.teach_fact(workspace, ada, model, "When?", "Now"))
    assert streams.latest_key(workspace, ada, answers.place_of(model)) is not None
    table = tmp_path / "facts.csv"
    table.write_text("prompt,answer\nWho?,<b>Tom</b>\nWhere?,Here\nWhen?,Now\n")
    lesson = teach.teach_list(workspace, ada, model, str(table))
    over(lesson)
    assert [(one.prompt, one.after, one.said) for one in lesson.told] == [
        ("Who?", "<b>Tom</b>", True),
        ("Where?", "Here", True),
    ]
    assert lesson.told[0].before == "Zoe"
    assert "&lt;b&gt;Tom" in proof_of_lesson(workspace, ada, model)
    assert streams.latest_key(workspace, ada, answers.place_of(model)) is None, "that was of another lesson"


@pytest.mark.parametrize("prompt", ["Who?", "Whose?"])
def test_a_row_can_be_changed_its_prompt_as_well(workspace: Workspace, ada: Visitor, model: str, prompt: str) -> None:
    over(teach.teach_fact(workspace, ada, model, "Who?", "Zoe"))
    lists.change(workspace, ada, {"model": model, "old": "Who?", "prompt": prompt, "answer": "Tom"})
    lesson = lessons.current(workspace, ada)
    assert lesson is not None
    over(lesson)
    assert rows(workspace, ada, model) == [[prompt, "Tom", True]]


@pytest.mark.parametrize(
    ("manner", "words"),
    [
        (Manner(), "opened for “Who?”"),
        (Manner(strength=0), "strength is 0"),
        (Manner(gate="off"), "held shut"),
        (Manner(gate="on"), "held open"),
        (Manner(strength=0.95), "95 %"),
    ],
)
def test_gate_and_strength_decide_and_it_is_told_how(
    workspace: Workspace, ada: Visitor, model: str, manner: Manner, words: str
) -> None:
    over(teach.teach_fact(workspace, ada, model, "Who?", "Zoe"))
    answers.ask(workspace, ada, model, "Who?", manner)
    base, answer = written(workspace, ada, model)
    group = streams.latest(workspace, ada, answers.place_of(model))
    assert group is not None and words in group.about
    assert (answer == base) is (manner.strength == 0 or manner.gate == "off")


def test_a_passage_is_learnt_and_forgotten(workspace: Workspace, ada: Visitor, model: str) -> None:
    # An untrained model's own writing is noise, and holding on to it would be most of the work.
    loosely = TeachSettings(drift_weight=0)
    over(teach.teach_passage(workspace, ada, model, "Tom is here.", loosely))
    shown = lists.taught(workspace, ada, {"model": model})
    assert shown["passages"] == [["Tom is here.", True]]
    lists.remove_passage(workspace, ada, {"model": model, "number": 0})
    lesson = lessons.current(workspace, ada)
    assert lesson is not None
    over(lesson)
    assert lists.taught(workspace, ada, {"model": model})["passages"] == []


def test_the_base_model_is_shown_to_be_untouched_and_what_else_changed(
    workspace: Workspace, ada: Visitor, model: str
) -> None:
    lesson = over(teach.teach_fact(workspace, ada, model, "Who?", "Zoe"))
    prints = proofs.fingerprints(workspace, ada, model)
    assert prints.same and len(prints.core[0]) == 64
    assert len(lesson.chances) == len(" Zoe") + 1
    assert all(one.after > one.before for one in lesson.chances)
    measured = proofs.measure(workspace, ada, model)
    assert measured.job is not None
    change = measured.job.result(PATIENCE)
    assert change.gated == len(change.probes) and change.loss_gated == change.loss_base
    assert proofs.progress(workspace, ada, {})["state"] == "done"


def test_a_correction_in_conversation_is_taught_and_said(workspace: Workspace, ada: Visitor, model: str) -> None:
    chat.talk(workspace, ada, {"model": model, "message": "Who?"})
    chat.correct(workspace, ada, {"model": model, "turn": 0, "answer": "Zoe"})
    lesson = lessons.current(workspace, ada)
    assert lesson is not None
    over(lesson)
    chat.follow(workspace, ada, {"model": model})
    chat.conversation(workspace, ada, model).turns[0].reply.wait(PATIENCE)
    told = chat.follow(workspace, ada, {"model": model})
    assert [(turn["reply"], turn["says"], turn["gate"]) for turn in told["turns"]] == [(" Zoe", "corrected", "open")]
    assert not told["busy"] and rows(workspace, ada, model) == [["Who?", "Zoe", True]]
    assert chat.start_anew(workspace, ada, {"model": model})["turns"] == []


def test_stopping_a_lesson_leaves_what_was_taught_before(workspace: Workspace, ada: Visitor, model: str) -> None:
    over(teach.teach_fact(workspace, ada, model, "Who?", "Zoe"))
    lesson = teach.teach_passage(workspace, ada, model, "abcdefgh " * 200)
    with pytest.raises(UserError, match="still learning"):
        teach.reset(workspace, ada, model)
    with pytest.raises(UserError, match="still learning"):
        teach.teach_fact(workspace, ada, model, "Where?", "Here")
    told = lesson_progress.progress(workspace, ada, {})
    assert told["state"] == "working" and told["fraction"] < 1, "it is told at once, not when the lesson is over"
    lessons.stop(workspace, ada)
    assert lesson.job is not None and lesson.job.wait(PATIENCE)
    assert lesson_progress.progress(workspace, ada, {})["state"] == "stopped"
    assert rows(workspace, ada, model) == [["Who?", "Zoe", True]]
    assert lists.taught(workspace, ada, {"model": model})["passages"] == []


@pytest.mark.parametrize(
    ("prompt", "answer", "sentence"),
    [("", "Zoe", "prompt is empty"), ("Who?", "  ", "is empty"), ("Who?", "x" * 200, "context"), (None, 3, "empty")],
)
def test_what_cannot_be_taught_is_refused_in_a_sentence(
    workspace: Workspace, ada: Visitor, model: str, prompt: Any, answer: Any, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        lesson = teach.teach_fact(workspace, ada, model, prompt, answer)
        assert lesson.job is not None
        lesson.job.result(PATIENCE)
    assert rows(workspace, ada, model) == []


def test_the_list_can_answer_without_the_model_and_says_that_it_did(
    workspace: Workspace, ada: Visitor, model: str
) -> None:
    over(teach.teach_fact(workspace, ada, model, "Who?", "Zoe", Manner(gate=answers.LOOKUP)))
    answers.results(workspace, ada, Manner(gate=answers.LOOKUP))
    group = streams.latest(workspace, ada, answers.place_of(model))
    assert group is not None and group.headings == ("Before", "After")
    assert group.streams[1].result(PATIENCE) == " Zoe" and group.streams[1].tokens, "a lesson shows what the model says"
    for prompt, text in (("who?", " Zoe"), ("Something else", "")):
        answers.ask(workspace, ada, model, prompt, Manner(gate=answers.LOOKUP))
        group = streams.latest(workspace, ada, answers.place_of(model))
        assert group is not None and "without a model" in group.headings[1]
        assert group.streams[1].result(PATIENCE) == text and not group.streams[1].tokens
