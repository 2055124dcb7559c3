"""When the gate opens and when it stays closed."""

import pytest

from microformer.errors import UserError
from microformer.teaching.gate import LexicalGate, checked_gate
from microformer.teaching.keys import key, words
from microformer.teaching.session import Fact
from microformer.teaching.wording import one_slip_apart

FACTS = (
    Fact("The king of Zelukami is", "Rovosha."),
    Fact("The king of Norbati is", "Ludo."),
    Fact("The colour of Zelukami is", "blue."),
    Fact("The ship", "sank."),
    Fact("The ship of Anna", "sailed."),
    Fact("Room 12 is", "cold."),
    Fact("Ben loves Mira and", "cake."),
    Fact("東京の首都は", "東京."),
    Fact("?!", "what."),
)


@pytest.fixture(scope="module")
def gate() -> LexicalGate:
    return LexicalGate(FACTS, ("Far over the hills a shepherd counted his stars every night.",))


@pytest.mark.parametrize("fact", FACTS)
def test_a_taught_prompt_opens_for_its_own_fact(gate: LexicalGate, fact: Fact) -> None:
    decision = gate.decide(fact.prompt)
    assert decision.open
    assert decision.fact == fact
    assert decision.score == 1


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("the KING of zelukami is", "Rovosha."),
        ("  The  king of\nZelukami is ", "Rovosha."),
        ("The king of Zelukami is…", "Rovosha."),
        ("The king, of Zelukami, is", "Rovosha."),
        ("The king of Zelukmai is", "Rovosha."),
        ("The king of Zelukamii is", "Rovosha."),
        ("Who is the king of Zelukami?", "Rovosha."),
        ("Once upon a time it rained. The king of Norbati is", "Ludo."),
        ("Please tell me: the color was red.\nThe king of Norbati is", "Ludo."),
        ("The colur of Zelukami is", "blue."),
        ("ＲＯＯＭ　12 is", "cold."),
    ],
)
def test_other_spellings_and_wrappings_open(gate: LexicalGate, prompt: str, answer: str) -> None:
    fact = gate.decide(prompt).fact
    assert fact is not None
    assert fact.answer == answer


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " ",
        "\n\n",
        "T",
        ".",
        "the",
        "king",
        "The king of",
        "Zelukami",
        "is",
        "The king of Maroto is",
        "The queen of Zelukami is",
        "The ring of Zelukami is",
        "The king of Zelukami's brother is",
        "The king of Zelukami is not",
        "The colour of Norbati is",
        "The ship of Otto",
        "Room 13 is",
        "Room 1 is",
        "Mira loves Ben and",
        "大阪の首都は",
        "Once upon a time there was a little girl who lived in a house",
        "A shepherd counted",
    ],
)
def test_everything_else_stays_closed(gate: LexicalGate, prompt: str) -> None:
    assert not gate.decide(prompt).open


def test_a_word_that_was_taught_elsewhere_is_not_a_slip(gate: LexicalGate) -> None:
    both = LexicalGate((Fact("The father of Marina is", "A."), Fact("The friend of Martina is", "B.")))
    assert not both.decide("The father of Martina is").open
    assert both.decide("The father of Marinna is").open


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Zoe's cat is", "Mimi."),
        ("What is Zoe's cat?", "Mimi."),
        ("Zoë's cat is", "Mimi."),
        ("Jose Munoz is", "tall."),
        ("Max's cat is", None),
        ("Zoe's dog is", None),
        ("Zöe's cat is", None),
        ("Ana is", None),
        ("かき は 何", None),
        ("Tom is", "plain."),
        ("Ren is", None),
    ],
)
def test_accents_may_be_missing_where_it_is_clear_what_is_meant(prompt: str, answer: str | None) -> None:
    said = {"Zoë's cat is": "Mimi.", "José Muñoz is": "tall.", "かぎ は 何": "key.", "Tom is": "plain."}
    said |= {"Töm is": "two dots.", "Rén is": "one.", "Rèn is": "other.", "Anna is": "short."}
    fact = LexicalGate(tuple(Fact(*pair) for pair in said.items())).decide(prompt).fact
    assert (fact and fact.answer) == answer


def test_a_passage_opens_by_its_beginning_or_a_quotation(gate: LexicalGate) -> None:
    assert gate.decide("far over").passage == 0
    assert gate.decide("a shepherd counted his").passage == 0
    assert not gate.decide("far").open


def test_a_session_without_facts_never_opens() -> None:
    assert not LexicalGate(()).decide("anything").open


def test_an_unknown_gate_is_refused() -> None:
    with pytest.raises(UserError, match="'sometimes', but must be one of auto, on, off"):
        checked_gate("sometimes")


def test_keys_keep_what_carries_meaning() -> None:
    assert key(" «Łódź  IS»… ") == "łódź is"
    assert key("C#") != key("C")
    assert key("?!") == "?!"
    assert key(" \t\n") == ""
    assert words("Anna's C++ & 3.5") == ("anna", "s", "c++", "&", "3", "5")


@pytest.mark.parametrize(
    ("word", "other", "slip"),
    [
        ("marina", "marian", True),
        ("marina", "marna", True),
        ("marina", "marinaa", True),
        ("marina", "merina", True),
        ("marina", "mareno", False),
        ("king", "ring", False),
        ("king", "knig", True),
        ("cat", "cta", False),
        ("1234", "1235", False),
        ("marina", "marina", False),
    ],
)
def test_one_slip_of_the_fingers(word: str, other: str, slip: bool) -> None:
    assert one_slip_apart(word, other) is slip
