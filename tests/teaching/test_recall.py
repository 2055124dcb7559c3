"""What the model is given for a prompt: the right memory, or none at all."""

import pytest
import torch

from microformer.checkpoint import Loaded
from microformer.errors import UserError
from microformer.teaching.generators import finished
from microformer.teaching.recall import look_up, recall
from microformer.teaching.session import Fact, Session
from microformer.teaching.settings import TeachSettings
from microformer.teaching.teach import teach
from microformer.teaching.verify import greedy, recites
from tests.teaching.small_models import FACTS


@pytest.fixture(scope="module")
def other(loaded: Loaded, quick: TeachSettings) -> Session:
    """Another person's session on the same model; both know something about Tom."""
    facts = [Fact("The moon is", "far away."), Fact("My cat is called", "Mia")]
    return finished(teach(loaded, Session.blank(loaded), facts, quick))


def test_a_closed_gate_hands_over_nothing(taught: Session) -> None:
    found = recall([taught], "Once upon a time")
    assert found.memory is None
    assert not found.open
    assert found.reads == "Once upon a time"


def test_another_wording_is_read_as_it_was_taught(taught: Session) -> None:
    found = recall([taught], "the KING of  Zelukmai is?")
    assert found.reads == FACTS[0].prompt
    assert found.fact == FACTS[0]
    assert found.memory is taught.memory


def test_forced_on_reads_what_was_typed(taught: Session) -> None:
    found = recall([taught], "Once upon a time", gate="on")
    assert found.memory is taught.memory
    assert found.reads == "Once upon a time"


def test_off_and_strength_zero_are_the_base(taught: Session) -> None:
    assert recall([taught], FACTS[0].prompt, gate="off").memory is None
    assert recall([taught], FACTS[0].prompt, strength=0).memory is None


def test_a_blank_session_takes_no_part(loaded: Loaded, taught: Session) -> None:
    assert recall([Session.blank(loaded)], "anything", gate="on").memory is None
    assert recall([Session.blank(loaded), taught], FACTS[0].prompt).memory is taught.memory


def test_gates_decide_between_sessions(loaded: Loaded, taught: Session, other: Session) -> None:
    assert recall([taught, other], "The moon is").memory is other.memory
    assert recall([taught, other], "The queen of Zelukami is").memory is taught.memory


def test_where_two_gates_open_their_memories_are_blended(loaded: Loaded, taught: Session, other: Session) -> None:
    found = recall([taught, other], "My cat is called")
    assert found.memory is not None
    tokens = torch.tensor([[0, 5, 9, 3]])
    hidden = loaded.model.embed(tokens)
    layer, one, two = (memory.layer(2) for memory in (found.memory, taught.memory, other.memory))
    assert layer is not None and one is not None and two is not None
    expected = hidden + 0.5 * (one(hidden) - hidden) + 0.5 * (two(hidden) - hidden)
    torch.testing.assert_close(layer(hidden), expected)


def test_two_sessions_side_by_side_keep_their_facts(loaded: Loaded, taught: Session, other: Session) -> None:
    found = recall([taught, other], "The moon is")
    ((ids, ended),) = greedy(loaded, [found.reads], [found.memory], [20])
    assert loaded.tokenizer.decode(ids) == " far away."
    assert ended
    assert recites(loaded, taught) == [True, True, True]


def test_strength_must_be_a_share(taught: Session) -> None:
    with pytest.raises(UserError, match="strength is 2, but must be between 0 and 1"):
        recall([taught], "x", strength=2)


def test_looking_up_needs_no_model(taught: Session, other: Session) -> None:
    assert look_up([taught, other], "the moon is") == " far away."
    assert look_up([taught, other], "the sun is") is None
    assert look_up([], "the sun is") is None
