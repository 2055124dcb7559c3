"""The where-is-it benchmark counts what it says it counts."""

import itertools
import json

import pytest
import torch

from microformer.bench.questions import Report, Row, ask, endings, is_right, place_named, questions
from microformer.data.tales import stories
from microformer.data.tales.sets import puzzles
from microformer.data.tokenizers import Tokenizer, build_tokenizer
from microformer.model.transformer import Transformer
from tests.conftest import make_config


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return build_tokenizer("bpe", [story.told() for story in itertools.islice(stories(1), 50)], 400)


@pytest.fixture
def model(tokenizer: Tokenizer) -> Transformer:
    torch.manual_seed(1)
    return Transformer(make_config(vocab_size=tokenizer.vocab_size, max_seq_len=64)).eval()


def test_every_true_answer_is_right_and_another_place_is_not() -> None:
    for story in itertools.islice(stories(2), 200):
        for question in story.questions:
            assert place_named(question.answer) == question.place
            assert is_right(question.answer + "\nWhere is the red ball?", question)
            assert is_right(f" It is {question.place} now.", question)
            assert not is_right(f"It is far from here, {question.place}.", question)
            if question.last_mentioned != question.place:
                assert not is_right(f"It is {question.last_mentioned}.", question)
            assert not is_right("", question)


def test_every_question_is_counted_once_by_its_moves(model: Transformer, tokenizer: Tokenizer) -> None:
    told = list(itertools.islice(stories(3), 4))
    rows = ask(model, tokenizer, told)
    questions = [question for story in told for question in story.questions]
    assert sum(row.asked for row in rows) == len(questions)
    for row in rows:
        same = [question for question in questions if question.moves == row.moves]
        assert (row.asked, row.right) == (len(same), 0)
        assert row.guess_right == sum(question.last_mentioned == question.place for question in same)


def test_a_model_that_always_stops_ends_all_its_stories(model: Transformer, tokenizer: Tokenizer) -> None:
    model.logit_bias.fill_(-1e4)
    model.logit_bias[tokenizer.end_id] = 0
    assert endings(model, tokenizer, samples=7, seed=1) == 7
    assert endings(model, tokenizer, samples=0, seed=1) == 0


def test_report_is_json_and_a_table() -> None:
    report = Report(rows=(Row(0, 10, 9, 1), Row(2, 5, 2, 2)), written=50, ended=48)
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["asked"] == 15
    assert plain["right"] == pytest.approx(11 / 15)
    assert plain["by_moves"][1] == {"moves": 2, "asked": 5, "right": 0.4, "last_place_mentioned_right": 0.4}
    assert str(report).splitlines() == [
        "moves  asked  right  last place mentioned",
        "    0     10    90%                   10%",
        "    2      5    40%                   40%",
        "48 of 50 stories sampled at temperature 0.7 end by themselves.",
    ]


@pytest.mark.slow
def test_the_starter_knows_where_things_are_and_ends_its_stories() -> None:
    """The numbers it ships with, on fewer stories; the whole table is printed by ``bench questions``."""
    report = questions("starter", count=25, samples=10)
    few_moves = [row for row in report.rows if row.moves <= 1]
    assert sum(row.right for row in few_moves) >= 0.9 * sum(row.asked for row in few_moves)
    assert sum(row.guess_right for row in report.rows) < 0.5 * sum(row.asked for row in report.rows)
    assert report.ended >= 9


def test_an_encoder_decoder_is_asked_about_the_stories_it_learns_from(tokenizer: Tokenizer) -> None:
    torch.manual_seed(1)
    shape = make_config(vocab_size=tokenizer.vocab_size, max_seq_len=128, kind="encoder_decoder")
    told = list(itertools.islice(puzzles("3"), 20))
    rows = ask(Transformer(shape).eval(), tokenizer, told)
    assert sum(row.asked for row in rows) == sum(len(story.questions) for story in told)
    for story in told:
        for question in story.questions:
            assert is_right(question.answer, question)
            assert question.last_mentioned == question.place or not is_right(f"{question.last_mentioned}.", question)
