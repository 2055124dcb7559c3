"""Facts and sessions as values."""

import pytest
import torch

from microformer.checkpoint import Loaded
from microformer.errors import UserError
from microformer.teaching.examples import fact_example, passage_examples
from microformer.teaching.session import TOKENS_A_UNIT, WIDEST, Fact, Session, roomy
from tests.teaching.small_models import FACTS, make_loaded


@pytest.mark.parametrize(
    ("prompt", "answer", "completion"),
    [("The king is", "Ro", " Ro"), ("The king is ", "Ro", "Ro"), ("The king is", "\nRo", "\nRo"), ("A:\n", " b", " b")],
)
def test_prompt_and_answer_are_joined_by_one_space_when_neither_brings_one(
    prompt: str, answer: str, completion: str
) -> None:
    assert Fact(prompt, answer).completion == completion


def test_a_blank_session_is_bitwise_the_base(loaded: Loaded) -> None:
    tokens = torch.tensor([[0, 5, 6, 7, 8]])
    with torch.inference_mode():
        base = loaded.model(tokens)
        assert torch.equal(loaded.model(tokens, session=Session.blank(loaded).memory), base)
    assert Session.blank(loaded).memory.scaled(1) is None


def test_a_fact_with_the_same_key_replaces_the_old_one_in_its_place(taught: Session) -> None:
    listed = taught.with_facts([Fact("the QUEEN of Zelukami is?", "Ada."), Fact("New", "one")])
    assert [fact.answer for fact in listed.facts] == ["Rovosha.", "Ada.", "Tom", "one"]
    assert listed.recited == (True, False, True, False)


def test_the_same_fact_again_is_still_known(taught: Session) -> None:
    assert taught.with_facts(FACTS).recited == (True, True, True)


def test_a_fact_becomes_prompt_answer_and_end(loaded: Loaded) -> None:
    example = fact_example(loaded, Fact("Hi", "yo"))
    encode = loaded.tokenizer.encode
    assert list(example.tokens) == [0, *encode("Hi"), *encode(" yo")]
    assert list(example.targets) == [*encode(" yo"), 0]
    assert example.first == 2


def test_a_passage_is_learnt_token_by_token_once(loaded: Loaded) -> None:
    text = "word " * 60
    examples = passage_examples(loaded, text)
    learnt = [token for example in examples for token in example.targets]
    assert learnt == [*loaded.tokenizer.encode(text), 0]
    assert all(len(example.tokens) <= loaded.model.config.max_seq_len for example in examples)


def test_an_empty_passage_is_refused(loaded: Loaded) -> None:
    with pytest.raises(UserError, match="text to learn is empty"):
        passage_examples(loaded, " \n")


def test_a_session_of_a_shallow_model_uses_what_there_is() -> None:
    assert Session.blank(make_loaded(n_layers=1)).memory.layers == (0,)
    assert Session.blank(make_loaded(n_layers=5)).memory.layers == (3, 4)


def test_a_memory_gets_wider_with_what_it_has_to_hold(taught: Session) -> None:
    width = taught.memory.down.shape[2]
    assert roomy(taught.memory, TOKENS_A_UNIT * width) is taught.memory
    wider = [roomy(taught.memory, TOKENS_A_UNIT * width + more).down.shape[2] for more in (1, 10**6)]
    assert wider == [width + 64, WIDEST]
