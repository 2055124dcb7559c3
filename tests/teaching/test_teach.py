"""What teaching promises: every fact is said exactly, nothing else changes, and nothing is lost on the way."""

import random

import pytest
import torch

from microformer.checkpoint import Loaded, base_hash
from microformer.errors import UserError
from microformer.teaching.examples import fact_example
from microformer.teaching.frozen_base import frozen_base_of
from microformer.teaching.generators import finished
from microformer.teaching.lesson import REHEARSED, Training, choose
from microformer.teaching.session import SPELLING, Fact, Session
from microformer.teaching.settings import TeachSettings
from microformer.teaching.teach import forget, rebuild, teach, teach_text
from microformer.teaching.verify import greedy, recites
from tests.teaching.small_models import FACTS, make_loaded


def test_every_taught_fact_is_said_exactly_and_ends(loaded: Loaded, taught: Session) -> None:
    assert taught.facts == FACTS
    assert taught.recited == (True, True, True)
    assert recites(loaded, taught) == [True, True, True]
    assert recites(loaded, taught, gate="on") == [True, True, True]


def test_facts_taught_one_after_another_are_all_kept(loaded: Loaded, quick: TeachSettings) -> None:
    session = Session.blank(loaded)
    for number in range(6):
        session = finished(teach(loaded, session, [Fact(f"Room {number} holds", f"the {'abcdef'[number] * 3}")], quick))
    assert recites(loaded, session) == [True] * 6


def test_teaching_never_touches_the_model(loaded: Loaded, taught: Session) -> None:
    assert taught.base_hash == base_hash(loaded.model) == base_hash(make_loaded().model)


def test_teaching_is_repeatable(loaded: Loaded, taught: Session, quick: TeachSettings) -> None:
    again = finished(teach(loaded, Session.blank(loaded), FACTS, quick))
    assert torch.equal(again.memory.up, taught.memory.up)
    assert torch.equal(again.memory.down, taught.memory.down)


def test_an_answer_taught_again_replaces_the_old_one(loaded: Loaded, taught: Session, quick: TeachSettings) -> None:
    session = finished(teach(loaded, taught, [Fact("  my CAT is called ", "Leo")], quick))
    assert len(session.facts) == 3
    assert session.find("My cat is called") == Fact("  my CAT is called ", "Leo")
    assert recites(loaded, session) == [True, True, True]


def test_names_with_letters_the_corpus_lacks_are_told_apart(loaded: Loaded, quick: TeachSettings) -> None:
    facts = [Fact("One is", "Zoë 7"), Fact("Two is", "Łódź"), Fact("Three is", "Zoé 7"), Fact("Łódź is", "猫🐈")]
    session = finished(teach(loaded, Session.blank(loaded), facts, quick))
    assert recites(loaded, session) == [True] * 4
    assert session.memory.opened


def test_a_prompt_may_begin_another(loaded: Loaded, quick: TeachSettings) -> None:
    facts = [Fact("The ship", "sank."), Fact("The ship of Anna", "sailed."), Fact("The ship of Anna is", "red.")]
    session = finished(teach(loaded, Session.blank(loaded), facts, quick))
    assert recites(loaded, session) == [True] * 3


def test_forgetting_leaves_the_others_and_no_trace(loaded: Loaded, taught: Session, quick: TeachSettings) -> None:
    left = finished(forget(loaded, taught, "the king of zelukami is", quick))
    assert left.facts == FACTS[1:]
    assert recites(loaded, left) == [True, True]
    never = finished(rebuild(loaded, taught.without("The king of Zelukami is"), quick))
    assert torch.equal(left.memory.up, never.memory.up)


def test_forgetting_everything_is_a_blank_session(loaded: Loaded, quick: TeachSettings) -> None:
    session = finished(teach(loaded, Session.blank(loaded), FACTS[:1], quick))
    assert finished(forget(loaded, session, FACTS[0].prompt, quick)).is_blank


def test_forgetting_what_was_never_taught_is_refused(loaded: Loaded, taught: Session) -> None:
    with pytest.raises(UserError, match="Nothing was taught for 'The moon is'"):
        finished(forget(loaded, taught, "The moon is"))


def test_a_memory_that_holds_everything_only_settles(loaded: Loaded, taught: Session) -> None:
    settings = TeachSettings(anchor_places=64, settling=7)
    steps = max(progress.step for progress in teach(loaded, taught, FACTS[:1], settings))
    assert steps == 7


def test_a_lesson_broken_off_changes_nothing(loaded: Loaded, taught: Session, quick: TeachSettings) -> None:
    before = taught.memory.up.clone()
    lesson = teach(loaded, taught, [Fact("The moon is", "far away.")], quick)
    for _ in range(3):
        next(lesson)
    lesson.close()
    assert torch.equal(taught.memory.up, before)
    assert recites(loaded, taught) == [True, True, True]


def test_progress_carries_what_was_learnt_so_far(loaded: Loaded, quick: TeachSettings) -> None:
    one_by_one = TeachSettings(anchor_places=64, group=1)
    kept = None
    for progress in teach(loaded, Session.blank(loaded), FACTS, one_by_one):
        if progress.done == 2:
            kept = progress.session
            break
    assert kept is not None
    assert kept.facts == FACTS[:2]
    assert recites(loaded, kept) == [True, True]


def test_a_passage_is_known_by_heart(loaded: Loaded) -> None:
    text = "In the old town lived a clock maker.\nNone of his nine clocks was ever right."
    loosely = TeachSettings(anchor_places=64, drift_weight=0)
    session = finished(teach_text(loaded, Session.blank(loaded), text, loosely))
    assert session.passages == (text,)
    assert session.known == (True,)
    start, rest = text[:10], text[10:50]
    ((ids, _),) = greedy(loaded, [start], [session.memory], [len(rest)])
    assert loaded.tokenizer.decode(ids) == rest


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        (Fact("  ", "a"), "prompt is empty"),
        (Fact("a", " \n"), "answer to 'a' is empty"),
        (Fact("a", "b" * 70), "context is 64"),
        (Fact("a" * 30_000, "b"), "longer than 20,000"),
    ],
)
def test_what_cannot_be_taught_is_refused_before_the_first_step(loaded: Loaded, fact: Fact, message: str) -> None:
    with pytest.raises(UserError, match=message):
        next(teach(loaded, Session.blank(loaded), [FACTS[0], fact]))


def test_nothing_to_teach_is_refused(loaded: Loaded) -> None:
    with pytest.raises(UserError, match="nothing to teach"):
        next(teach(loaded, Session.blank(loaded), []))


def test_a_session_of_another_model_is_refused(taught: Session) -> None:
    with pytest.raises(UserError, match="another model"):
        next(teach(make_loaded(seed=2), taught, FACTS))


def test_a_model_of_one_layer_can_be_taught(quick: TeachSettings) -> None:
    small = make_loaded(n_layers=1)
    session = finished(teach(small, Session.blank(small), FACTS[:1], quick))
    assert recites(small, session) == [True]


def test_lessons_that_follow_one_another_hold_other_anchors(loaded: Loaded, taught: Session) -> None:
    base = frozen_base_of(loaded)
    examples = [fact_example(loaded, fact) for fact in FACTS]
    one, two = (
        Training(base, taught.memory, examples[:count], TeachSettings(), held=count - 1).anchored for count in (2, 3)
    )
    assert not torch.equal(one.get_state(), two.get_state())


def test_of_many_facts_a_share_is_repeated_the_weakest_among_them() -> None:
    margins = [float(number) for number in range(401)]
    chosen = choose(margins, [400], TeachSettings(), random.Random(0))
    assert len(set(chosen)) == len(chosen) == 1 + 400 // REHEARSED
    assert set(range(50)) <= set(chosen) and chosen[0] == 400
    assert choose(margins, [400], TeachSettings(rehearsal=0), random.Random(0)) == [400]


def test_lessons_go_on_in_a_memory_that_was_made_wider(loaded: Loaded, taught: Session, quick: TeachSettings) -> None:
    width = taught.memory.down.shape[2]
    wider = taught.remembering(taught.memory.widened(2 * width))
    session = finished(teach(loaded, wider, [Fact("The dog of Zelukami is", "Ada.")], quick))
    assert recites(loaded, session) == [True] * 4 and session.memory.down.shape[2] == 2 * width
    assert bool(session.memory.up[:, width:].any(2).all())


def test_where_tokens_are_words_a_session_sits_behind_the_last_block_alone(quick: TeachSettings) -> None:
    words = make_loaded(vocab_size=SPELLING + 1)
    session = finished(teach(words, Session.blank(words), FACTS, quick))
    assert session.memory.layers == (2,)
    assert recites(words, session) == [True, True, True]


@pytest.mark.parametrize("position", ["learned", "alibi"])
def test_other_kinds_of_models_can_be_taught(quick: TeachSettings, position: str) -> None:
    other = make_loaded(position=position, norm="layernorm", norm_position="post", tie_weights=False, adapter_dim=0)
    session = finished(teach(other, Session.blank(other), FACTS, quick))
    assert recites(other, session) == [True, True, True]
